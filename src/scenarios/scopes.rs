//! Scopes whose jobs spawn, fail and panic, while they are stopped from inside and outside.

use crate::scenarios::books::{Books, Entry, ON_PURPOSE};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Tally, builder, join};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::unwind;
use crate::{Checked, JobContext, Pool, Scope, ScopePolicy, ScopedHandle, Stopped};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that may have come. No step of the model.
#[derive(Clone, Debug, Default)]
struct Since(Arc<AtomicBool>);

impl Since {
    fn now(&self) {
        // ORDERING: Relaxed; all threads of an execution are one.
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_come(&self) -> bool {
        // ORDERING: as in `now`.
        self.0.load(Ordering::Relaxed)
    }
}

/// A capture or a value that stands for a borrow: it must be gone when the scope is over.
#[derive(Debug)]
struct Borrow(Since);

impl Drop for Borrow {
    fn drop(&mut self) {
        yield_now();
        assert!(!self.0.has_come(), "it outlives the scope");
    }
}

/// A body that borrows, and whose value does.
fn borrows(
    entry: &Entry,
    over: &Since,
    yields: u32,
) -> impl FnOnce(&JobContext) -> Checked<Borrow> + Send + 'static {
    let (capture, value) = (Borrow(over.clone()), Borrow(over.clone()));
    entry.body(move |cx| {
        let _capture = capture;
        for _ in 0..yields {
            cx.check()?;
            yield_now();
        }
        Ok(value)
    })
}

fn policy() -> ScopePolicy {
    match chance(3) {
        0 => ScopePolicy::WaitForAll,
        1 => ScopePolicy::FailFast,
        _ => ScopePolicy::FirstSuccess,
    }
}

fn let_go(entry: &Entry, job: ScopedHandle<'_, Borrow, Stopped>) {
    match chance(4) {
        0 => drop(job),
        1 => {
            job.cancel();
        }
        // Its value is leaked with it, if there is one: that is not to be seen here.
        2 => mem::forget(job),
        _ => {
            entry.enter(&job.wait());
        }
    }
}

/// Rules 1 and 2: whatever becomes of the jobs, of their handles and of the pool, all that borrows is
/// gone when the scope is over.
fn nothing_borrowed_outlives_a_scope() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let over = Since::default();
    let shutting = (chance(2) == 0).then(|| {
        let pool = pool.clone();
        spawn(move || drop(pool.shutdown()))
    });
    pool.scope_with(policy(), |s| {
        for entry in &entries {
            let_go(entry, s.spawn(borrows(entry, &over, chance(2))));
        }
        if chance(4) == 0 {
            s.cancel();
        }
    });
    over.now();
    join(shutting);
    books.close(pool);
}

/// A job that spawns a sibling; neither starts when the scope is known to be stopped, but for one that
/// was just about to, and has been told.
fn spawns<'scope>(
    s: &'scope Scope<'scope, '_>,
    entries: &'scope [Entry; 2],
    stopped: &Since,
) -> ScopedHandle<'scope, (), Stopped> {
    let [stop, sibling_stop] = [stopped.clone(), stopped.clone()];
    let sibling = entries[1].body(move |cx| {
        let late = sibling_stop.has_come();
        assert!(!late || cx.is_stopped(), "a sibling starts after the stop");
        Checked::Ok(())
    });
    s.spawn(move |cx| {
        entries[0].body(move |cx| {
            let late = stop.has_come();
            assert!(!late || cx.is_stopped(), "it starts after the stop");
            Checked::Ok(())
        })(cx)?;
        yield_now();
        drop(s.spawn(sibling));
        Ok(())
    })
}

/// Rule 3: no job of a scope that was stopped starts, those that are being spawned just then included.
fn spawns_in_a_scope_against_its_stop() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let stopped = Since::default();
    let all = [(); 2].map(|()| [books.entry(), books.entry()]);
    let spawned = pool.scope(|s| {
        let jobs = all.each_ref().map(|entries| spawns(s, entries, &stopped));
        yield_now();
        s.cancel();
        stopped.now();
        jobs.map(|job| job.wait().is_ok())
    });
    for (entries, spawned) in all.iter().zip(spawned) {
        assert_eq!(entries[0].was_called(), spawned);
    }
    // One that was never called dropped its entry's capture, and its sibling's, unspawned.
    pool.drain().wait();
    let metrics = pool.metrics();
    assert_eq!(metrics.unresolved(), 0, "{metrics:?}");
    assert_eq!((metrics.threads, metrics.timers), (0, 0), "{metrics:?}");
}

/// Rule 4: each panic is shown once, by the handle, by the scope, or to the hook.
fn panics_in_a_scope_against_dropped_handles() {
    let told = Tally::default();
    let hook = told.clone();
    let settings = builder().threads(1..=2).on_unseen_panic(move |_| hook.add());
    let pool: Pool = settings.build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let mut seen = 0;
    let unwound = unwind::catch(|| {
        pool.scope(|s| {
            for entry in &entries {
                let job = s.spawn(entry.panics());
                if chance(2) == 0 {
                    drop(job);
                } else {
                    entry.enter(&job.wait());
                    seen += 1;
                }
            }
        });
    });
    let unseen = entries.len() - seen;
    match unwound {
        Ok(()) => assert_eq!(unseen, 0, "a panic is lost"),
        Err(payload) => assert_eq!(unwind::message(&payload), ON_PURPOSE),
    }
    assert_eq!(told.get(), unseen.saturating_sub(1), "one goes on, the others are told");
    books.close(pool);
}

scenarios! {
    nothing_borrowed_outlives_a_scope
    spawns_in_a_scope_against_its_stop
    panics_in_a_scope_against_dropped_handles
}
