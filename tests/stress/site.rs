//! Where jobs go: pools, and the lanes in them.

use crate::gauge::Gauge;
use crate::ledger::BOOKS;
use crate::rng::Rng;
use punctual::{Job, Lane, LaneMetrics, Pool, Priority, Reserve, WhenFull};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// A pool with its lanes.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) pool: Pool,
    lanes: Arc<[Spot]>,
}

/// A lane.
struct Spot {
    lane: Lane,
    /// Of its own limit, and of those around it.
    way: Vec<Arc<Gauge>>,
    outer: Option<usize>,
    /// How many lanes that are in no other came before the one that this is in.
    tree: usize,
}

/// Where a job is: its lane, if it is in one, and what it passed to get there.
#[derive(Clone, Default)]
pub(crate) struct Stand {
    lane: Option<usize>,
    pub(crate) way: Vec<Arc<Gauge>>,
}

impl Site {
    pub(crate) fn new(pool: Pool, rng: &mut Rng) -> Self {
        let mut lanes = Vec::new();
        for _ in 0..rng.pick(&[0, 1, 2, 5]) {
            lanes.push(Spot::new(&pool, &lanes, rng));
        }
        Self { pool, lanes: lanes.into() }
    }

    /// Any place.
    pub(crate) fn anywhere(&self, rng: &mut Rng) -> Stand {
        if self.lanes.is_empty() || rng.one_in(2) {
            return Stand::default();
        }
        self.stand(rng.below(self.lanes.len() as u64) as usize)
    }

    /// A place for a job that one that is here may wait for, if nobody waits for that one from another
    /// place, and what is there waits for jobs of its own place only.
    ///
    /// It is one that no job waits from for one here, or all would wait in a ring: where all that it
    /// takes to get there is held already, or a lane that came later, or out of all lanes.
    pub(crate) fn beyond(&self, here: &Stand, rng: &mut Rng) -> Stand {
        let there = self.anywhere(rng);
        let (Some(from), Some(to)) = (here.lane, there.lane) else {
            return if here.lane.is_none() { there } else { Stand::default() };
        };
        let mut around = std::iter::successors(Some(from), |lane| self.lanes[*lane].outer);
        let is_beyond = self.lanes[to].tree > self.lanes[from].tree || around.any(|n| n == to);
        if is_beyond { there } else { here.clone() }
    }

    fn stand(&self, lane: usize) -> Stand {
        Stand { lane: Some(lane), way: self.lanes[lane].way.clone() }
    }

    fn lane(&self, at: &Stand) -> Option<&Lane> {
        at.lane.map(|lane| &self.lanes[lane].lane)
    }

    pub(crate) fn job(&self, at: &Stand) -> Job {
        self.lane(at).map_or_else(|| self.pool.job(), Lane::job)
    }

    /// A job with or without a reserved place; or none, if that was not to be had or not to be used.
    pub(crate) fn reserved_job(&self, at: &Stand, rng: &mut Rng) -> Option<Job> {
        let permit = match rng.below(80) {
            0 | 1 => self.lane(at).map_or_else(|| self.pool.try_reserve(), Lane::try_reserve),
            2 => self.reserve(at).wait(),
            3 => self.reserve(at).within(Duration::from_micros(rng.below(300))).wait(),
            4 => return self.reserve_in_vain(at, rng),
            _ => return Some(self.job(at)),
        };
        permit.ok().filter(|_| !rng.one_in(4)).map(punctual::Permit::job)
    }

    fn reserve(&self, at: &Stand) -> Reserve {
        self.lane(at).map_or_else(|| self.pool.reserve(), Lane::reserve)
    }

    /// Begins to wait for a place, maybe twice, and lets it be.
    fn reserve_in_vain(&self, at: &Stand, rng: &mut Rng) -> Option<Job> {
        let mut reserve = pin!(self.reserve(at));
        for _ in 0..rng.below(3) {
            if reserve.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
        None
    }

    pub(crate) fn lane_metrics(&self) -> impl Iterator<Item = LaneMetrics> {
        self.lanes.iter().map(|spot| spot.lane.metrics())
    }

    pub(crate) fn gauges(&self) -> impl Iterator<Item = Arc<Gauge>> {
        self.lanes.iter().flat_map(|spot| spot.way.clone())
    }

    /// What must hold of the lanes of a pool that has ended.
    pub(crate) fn look_at_lanes(&self) {
        for Spot { lane, .. } in self.lanes.iter() {
            let (all, load, shown) = (lane.metrics(), lane.load(), format!("{lane:?}"));
            let holds_none = all.limit.is_none() || shown.contains("taken_and_most: Some((0, ");
            let left = (all.queued, all.running, all.overdue, load.queued, load.running);
            if left != (0, 0, 0, 0, 0) || all.resolved() != all.accepted || !holds_none {
                BOOKS.wrong(format!("left of a lane: {shown}, {all:?}"));
            }
        }
    }
}

impl Spot {
    fn new(pool: &Pool, before: &[Self], rng: &mut Rng) -> Self {
        let outer = (!before.is_empty() && rng.one_in(2)).then(|| rng.below(before.len() as u64));
        let outer = outer.map(|number| number as usize);
        let above = outer.map(|number| &before[number]);
        let mut way = above.map(|spot| spot.way.clone()).unwrap_or_default();
        let tree = above.map_or_else(|| before.len(), |spot| spot.tree);
        let mut lane = match above {
            Some(spot) => spot.lane.lane("inner"),
            None => pool.lane("a lane"),
        };
        if !rng.one_in(5) {
            let limit = 1 + rng.below(4) as usize;
            way.push(Gauge::new(limit));
            lane = lane.limit(limit);
        }
        if rng.one_in(3) {
            lane = lane.queue_limit(rng.pick(&[1, 5, 100]));
            lane = lane.when_full(when_full(rng));
        }
        if rng.one_in(4) {
            lane = lane.elastic();
        }
        if rng.one_in(8) {
            lane = lane.priority(Priority::High).default_timeout(Duration::from_millis(2));
        }
        Self { lane, way, outer, tree }
    }
}

/// What happens to a job that finds a queue full.
pub(crate) fn when_full(rng: &mut Rng) -> WhenFull {
    match rng.below(3) {
        0 => WhenFull::CallerRuns,
        1 => WhenFull::DropOldest,
        _ => WhenFull::Reject,
    }
}
