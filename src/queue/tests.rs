//! In which order the jobs of every place are found, and that none is lost on the way.

use super::*;
use crate::error::Rejection;
use crate::info::JobId;
use crate::job::fake::Fake;
use crate::moment::Moment;
use crossbeam_deque::Steal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A queue, and a maker of jobs for it.
struct Set {
    queue: Queue,
    owner: Arc<Fake>,
}

impl Set {
    fn new() -> Self {
        Self { queue: Queue::default(), owner: Fake::new().1 }
    }

    /// A worker whose last jobs were quick.
    fn quick(&self) -> Local {
        let (local, now) = (self.queue.join(), Moment::of(Instant::now()));
        (0..4).for_each(|_| local.ended(Some(now)));
        local
    }

    fn job(&self, priority: Priority) -> Task {
        self.owner.idle_job(priority)
    }

    /// Pushes so many jobs of this class, and gives their numbers.
    fn push(&self, priority: Priority, count: usize) -> Vec<JobId> {
        let push = |_| {
            let task = self.job(priority);
            let id = task.head.id;
            self.queue.push(task);
            id
        };
        (0..count).map(push).collect()
    }

    /// Puts so many jobs into a worker's own deque, and gives their numbers.
    fn own(&self, local: &Local, count: usize) -> Vec<JobId> {
        let push = |_| {
            let task = self.job(Priority::Normal);
            let id = task.head.id;
            local.push(task);
            id
        };
        (0..count).map(push).collect()
    }

    /// All that this worker finds in so many looks.
    fn find(&self, local: &Local, looks: usize) -> Vec<JobId> {
        (0..looks).map_while(|_| id(self.queue.find(local))).collect()
    }

    fn drain(&self) -> Vec<JobId> {
        std::iter::from_fn(|| id(self.queue.pop_any())).collect()
    }
}

fn id(task: Option<Task>) -> Option<JobId> {
    task.map(|task| task.head.id)
}

#[test]
fn usually_high_comes_first_then_own_then_normal_then_the_others_then_low() {
    let set = Set::new();
    let [me, other] = [0; 2].map(|_| set.quick());
    let low = set.push(Priority::Low, 1);
    let others = set.own(&other, 1);
    let normal = set.push(Priority::Normal, 1);
    let own = set.own(&me, 1);
    let high = set.push(Priority::High, 1);
    assert_eq!(set.find(&me, 7), [high, own, normal, others, low].concat());
}

#[test]
fn under_a_flood_of_high_jobs_every_other_place_has_its_turn() {
    let set = Set::new();
    let [me, other] = [0; 2].map(|_| set.quick());
    let own = set.own(&me, 9);
    let others = set.own(&other, 9);
    let normal = set.push(Priority::Normal, 9);
    let low = set.push(Priority::Low, 9);
    let high = set.push(Priority::High, 64);
    let found = set.find(&me, 64);
    let turns: Vec<_> = (8..=64).step_by(8).map(|look| found[look - 1]).collect();
    let injected = [normal[0], own[0], others[0], low[0], own[1], others[1], normal[1], low[1]];
    assert_eq!(turns, injected);
    let rest: Vec<_> = found.iter().copied().filter(|id| !turns.contains(id)).collect();
    assert_eq!(rest, high[..56]);
}

#[test]
fn a_turn_whose_place_is_empty_goes_to_what_there_is() {
    let set = Set::new();
    let me = set.quick();
    let high = set.push(Priority::High, 100);
    assert_eq!(set.find(&me, 200), high);
}

#[test]
fn one_worker_takes_what_others_submit_in_the_order_it_came() {
    let set = Set::new();
    let me = set.quick();
    let normal = set.push(Priority::Normal, 100);
    assert_eq!(set.find(&me, 200), normal);
    let again = set.push(Priority::Normal, 3);
    assert_eq!(set.find(&me, 3), again);
}

#[test]
fn jobs_that_came_from_the_injector_are_older_until_they_are_taken() {
    let set = Set::new();
    let me = set.quick();
    assert!(!me.is_older());
    set.push(Priority::Normal, 6);
    let mut taken = set.find(&me, 1).len();
    assert!(me.is_older(), "some more were moved along");
    set.own(&me, 2);
    while me.is_older() {
        taken += usize::from(me.pop().is_some());
    }
    assert!((2..=6).contains(&taken), "its own jobs are not older, but {taken} were taken");
    assert!(me.pop().is_some() && !me.is_older());
}

#[test]
fn what_is_taken_in_advance_can_be_stolen_and_then_nothing_is_older() {
    let set = Set::new();
    let [me, thief] = [0; 2].map(|_| set.quick());
    set.push(Priority::Normal, 6);
    set.find(&me, 1);
    while set.queue.others.steal_one_for(&thief).is_some() {}
    assert!(me.is_older(), "it has not looked since");
    assert!(me.pop().is_none() && !me.is_older());
}

#[test]
fn only_who_was_quick_takes_jobs_in_advance() {
    let (set, start) = (Set::new(), Moment::of(Instant::now()));
    let [me, other] = [0; 2].map(|_| set.queue.join());
    let in_advance = |ends: &[Option<u64>]| {
        for end in ends {
            me.ended(end.map(|micros| start + Duration::from_micros(micros)));
        }
        set.push(Priority::Normal, 20);
        assert_eq!(set.find(&me, 1).len(), 1);
        let count = std::iter::from_fn(|| me.pop()).count();
        set.drain();
        count
    };
    assert_eq!(in_advance(&[]), 0, "nothing is known");
    assert_eq!(in_advance(&[Some(0), Some(20)]), 1);
    assert_eq!(in_advance(&[Some(40), Some(50), Some(60), Some(70)]), 7, "and never more");
    assert_eq!(in_advance(&[Some(91)]), 0, "one that was not");
    assert_eq!(in_advance(&[Some(92), None]), 0);
    assert_eq!(in_advance(&[Some(93)]), 0, "it may have taken long");
    set.own(&other, 6);
    let stolen = set.queue.others.steal_for(&me);
    assert!(stolen.is_some() && me.pop().is_none(), "nor does a thief");
}

#[test]
fn a_thief_takes_half_from_the_worker_behind_it() {
    for (thief, victim) in [(0, 1), (1, 2), (2, 0)] {
        let set = Set::new();
        let locals = [0; 3].map(|_| set.quick());
        let owned = [0, 1, 2].map(|n| set.own(&locals[n], if n == thief { 0 } else { 4 }));
        let stolen = set.queue.others.steal_for(&locals[thief]);
        assert_eq!(id(stolen), Some(owned[victim][0]));
        assert_eq!(id(locals[thief].pop()), Some(owned[victim][1]));
        assert_eq!((id(locals[thief].pop()), set.queue.others.len()), (None, 6));
    }
}

#[test]
fn a_worker_steals_the_oldest_job_of_another_and_none_of_its_own() {
    let set = Set::new();
    let [me, other] = [0; 2].map(|_| set.quick());
    set.own(&me, 2);
    assert!(set.queue.others.steal_one_for(&me).is_none());
    assert!(set.queue.others.steal_for(&me).is_none());
    let owned = set.own(&other, 2);
    assert_eq!(id(set.queue.others.steal_one_for(&me)), Some(owned[0]));
    assert_eq!(set.queue.others.len(), 3);
}

#[test]
fn from_a_worker_that_has_left_nothing_is_stolen() {
    let set = Set::new();
    let [first, second, third] = [0; 3].map(|_| set.quick());
    let kept = [set.own(&first, 1), set.own(&third, 1)].concat();
    set.own(&second, 1);
    assert_eq!(set.queue.others.len(), 3);
    drop(second);
    assert_eq!(set.queue.others.len(), 2);
    let newcomer = set.quick(); // with a number of its own
    assert_eq!(set.own(&newcomer, 1).len(), 1);
    drop(third);
    assert_eq!(set.drain()[..1], kept[..1]);
}

#[test]
fn all_that_waits_can_be_popped_by_anybody() {
    let set = Set::new();
    let worker = set.quick();
    let own = set.own(&worker, 2);
    let low = set.push(Priority::Low, 2);
    let normal = set.push(Priority::Normal, 2);
    let high = set.push(Priority::High, 2);
    assert_eq!(set.drain(), [high, normal, own, low].concat());
}

#[test]
fn nobody_in_particular_takes_jobs_in_turns_too() {
    let set = Set::new();
    let urgent = |priority: Priority| {
        let task = set.job(priority);
        let id = task.head.id;
        set.queue.class(priority).urgent.push(Deadline::at(Instant::now()), task);
        id
    };
    let pop = |turn| id(set.queue.pop(turn)).expect("there is one");
    let (low, normal) = (set.push(Priority::Low, 2), set.push(Priority::Normal, 3));
    let (low_urgent, normal_urgent) = (urgent(Priority::Low), urgent(Priority::Normal));
    let high = set.push(Priority::High, 3);
    assert_eq!(pop(1), high[0]);
    assert_eq!(pop(2 * LOW_TURN), low[0], "and in its second turn one that is not urgent");
    assert_eq!(pop(LOW_TURN), low_urgent);
    assert_eq!(pop(2 * NORMAL_TURN), normal[0]);
    assert_eq!(pop(NORMAL_TURN), normal_urgent);
    assert_eq!([pop(2), pop(3)], [high[1], high[2]]);
    assert_eq!([pop(5), pop(6)], [normal[1], normal[2]]);
    assert_eq!(pop(7), low[1]);
}

#[test]
fn sweeping_gives_back_the_dead_and_keeps_the_order_of_the_rest() {
    let set = Set::new();
    let worker = set.quick();
    let mut dead = Vec::new();
    let mut live = Vec::new();
    for priority in [Priority::High, Priority::Normal, Priority::Low] {
        for n in 0..6 {
            let task = set.job(priority);
            if n % 2 == 0 {
                task.refuse(Rejection::ShutDown);
                dead.push(task.head.id);
            } else {
                live.push(task.head.id);
            }
            set.queue.push(task);
        }
    }
    let mut swept = Vec::new();
    set.queue.sweep(|task| {
        swept.push(task.head.id);
        set.queue.sweep(|_| unreachable!("one sweeps at a time"));
    });
    assert_eq!(swept, dead);
    assert_eq!(set.drain(), live);
    drop(worker);
}

#[test]
fn sweeping_takes_the_dead_out_of_the_workers_deques_too() {
    let set = Set::new();
    let worker = set.quick();
    let owned = set.own(&worker, 1);
    let task = set.job(Priority::Normal);
    task.refuse(Rejection::ShutDown);
    let dead = task.head.id;
    worker.push(task);
    let mut swept = Vec::new();
    set.queue.sweep(|task| swept.push(task.head.id));
    assert_eq!((swept, set.drain()), (vec![dead], owned));
}

#[test]
fn a_steal_that_somebody_got_in_between_is_tried_again() {
    let set = Set::new();
    let task = set.job(Priority::Normal);
    let mut tries = vec![Steal::Success(Arc::clone(&task)), Steal::Retry, Steal::Retry];
    let found = local::until_settled(|| tries.pop().expect("it is settled"));
    assert_eq!((id(found), tries.len()), (Some(task.head.id), 0));
    assert!(local::until_settled(|| Steal::Empty).is_none());
}

#[test]
fn looks_are_numbered_from_one() {
    let set = Set::new();
    let local = set.quick();
    assert_eq!([local.turn(), local.turn(), local.turn()], [1, 2, 3]);
}
