//! What becomes of handles: awaited, waited for, dropped, forgotten, sent elsewhere.

use crate::jobs::{Luggage, Spawned, let_go, spawn};
use crate::ledger::{Thing, drop_own, raise, saw};
use crate::rng::Rng;
use crate::site::Stand;
use crate::storm::{Kept, keep};
use crate::weather::Weather;
use punctual::{AbortHandle, Pool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// What another thread is to do.
pub(crate) enum Errand {
    Handle(Spawned),
    Abort(AbortHandle),
}

/// Who has handles in hand.
pub(crate) struct Hand<'a> {
    pub(crate) weather: Weather,
    pub(crate) pool: &'a Pool,
    /// Some other thread, if this is not it.
    pub(crate) stranger: Option<&'a Sender<Errand>>,
}

impl Hand<'_> {
    pub(crate) fn deal_with(&self, job: Spawned, rng: &mut Rng) {
        if rng.below(100) >= self.weather.handling {
            return wait(job);
        }
        match rng.below(12) {
            0 | 1 => let_go(job),
            2 => keep(Kept::Job(job)),
            3 => wait_a_little(job, rng),
            4 | 5 => {
                job.handle.cancel();
                wait(job);
            }
            6 => {
                let Spawned { handle, record } = job;
                self.send(Errand::Abort(handle.abort_handle()));
                wait(Spawned { handle, record });
            }
            7 => self.drop_to_cancel(job),
            8 => self.send(Errand::Handle(job)),
            9 | 10 => self.poll(job, rng),
            _ => self.await_the_end(job, rng),
        }
    }

    pub(crate) fn run(&self, errand: Errand, rng: &mut Rng) {
        match errand {
            Errand::Handle(job) => self.deal_with(job, rng),
            Errand::Abort(stopper) => (0..rng.below(4)).for_each(|_| stopper.abort()),
        }
    }

    fn send(&self, errand: Errand) {
        match self.stranger {
            Some(stranger) => stranger.send(errand).expect("the stranger listens"),
            None => {
                if let Errand::Handle(job) = errand {
                    wait(job);
                }
            }
        }
    }

    fn drop_to_cancel(&self, job: Spawned) {
        crate::ledger::BOOKS.unseen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        drop(job.handle.cancel_on_drop());
    }

    /// Polls with a waker that does anything, and then goes on otherwise.
    fn poll(&self, mut job: Spawned, rng: &mut Rng) {
        let waker = self.wild_waker(rng);
        let poll = Pin::new(&mut job.handle).poll(&mut Context::from_waker(&waker));
        drop_own(waker);
        match (poll, rng.below(4)) {
            (Poll::Ready(outcome), _) => saw(&job.record, outcome),
            (Poll::Pending, 0) => let_go(job),
            (Poll::Pending, 1) => keep(Kept::Job(job)),
            (Poll::Pending, _) => wait(job), // the last waker wins
        }
    }

    fn await_the_end(&self, job: Spawned, rng: &mut Rng) {
        let waker = self.wild_waker(rng);
        let mut ended = job.handle.stopped();
        if Pin::new(&mut ended).poll(&mut Context::from_waker(&waker)).is_pending() && rng.one_in(2)
        {
            drop(ended);
        } else {
            drop(ended);
            job.handle.wait_stopped();
        }
        drop_own(waker);
        wait(job);
    }

    pub(crate) fn wild_waker(&self, rng: &mut Rng) -> Waker {
        Waker::from(Arc::new(Wild {
            _thing: Thing::new(false),
            pool: self.pool.clone(),
            weather: self.weather,
            seed: rng.next(),
        }))
    }
}

pub(crate) fn wait(job: Spawned) {
    let Spawned { handle, record } = job;
    saw(&record, handle.wait());
}

pub(crate) fn wait_a_little(mut job: Spawned, rng: &mut Rng) {
    let time = Duration::from_micros(rng.pick(&[0, 20, 500]));
    match job.handle.wait_timeout(time) {
        Some(outcome) => saw(&job.record, outcome),
        None if rng.one_in(2) => let_go(job),
        None => wait(job),
    }
}

/// A waker that calls back into the pool, or panics.
struct Wild {
    _thing: Thing,
    pool: Pool,
    weather: Weather,
    seed: u64,
}

impl Wake for Wild {
    fn wake(self: Arc<Self>) {
        let mut rng = Rng::new(self.seed);
        let weather = self.weather;
        match rng.below(6) {
            0 => raise(&mut rng),
            1 => drop(self.pool.metrics()),
            2 => drop(format!("{:?}", self.pool)),
            3 => drop(self.pool.try_reserve()),
            4 => drop(self.pool.overdue()),
            _ => {
                let stand = Stand::default();
                let luggage = Luggage { weather, site: None, stand, token: None, heirs: 0 };
                let_go(spawn(self.pool.job(), &mut rng, luggage));
            }
        }
    }
}
