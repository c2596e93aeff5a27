//! Threads that come and go, and what each finds to do.

use crate::scenarios::books::{Books, Entry, Seen};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Gate, Tally, builder, join, ms};
use crate::sync::Mutex;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::sync::for_shuttle::{chance, refuse_threads};
use crate::{Checked, Pool, Priority};
use std::sync::{Arc, OnceLock};

/// A thread that submits jobs and waits for each.
fn submitter(
    pool: &Pool,
    books: &Books,
    jobs: u32,
    check: impl Fn(Seen) + Send + 'static,
) -> crate::sync::thread::JoinHandle<()> {
    let (pool, books) = (pool.clone(), books.clone());
    spawn(move || {
        for yields in 0..jobs {
            let entry = books.entry();
            check(entry.enter(&pool.spawn(entry.looks(1)).wait()));
            (0..yields).for_each(|_| yield_now());
        }
    })
}

fn returned(seen: Seen) {
    assert_eq!(seen, Seen::Returned);
}

/// No job is left to a thread that leaves: its keep-alive time is up just when one is submitted.
fn leaving_against_submissions() {
    let pool = builder().threads(..=2).keep_alive(ms(1)).build().expect("no thread yet");
    let books = Books::default();
    let other = submitter(&pool, &books, 2, returned);
    for yields in [3, 0, 1] {
        let entry = books.entry();
        returned(entry.enter(&pool.spawn(entry.looks(1)).wait()));
        (0..yields).for_each(|_| yield_now());
    }
    join([other]);
    books.close(pool);
}

/// Four submit to a crew that wakes and starts its threads for them.
fn many_submissions_against_parking() {
    let pool = builder().threads(1..=3).build().expect("threads");
    let books = Books::default();
    join([1, 2, 2, 1].map(|jobs| submitter(&pool, &books, jobs, returned)));
    books.close(pool);
}

/// Each job waits for those that come after it: whoever takes one sees to it that another takes the
/// next.
fn jobs_that_wait_for_the_next() {
    let pool = builder().threads(3..=3).build().expect("threads");
    let books = Books::default();
    let gates = [Gate::default(), Gate::default()];
    let entries = [books.entry(), books.entry(), books.entry()];
    let spawn = |n: usize| {
        let gates = gates.clone();
        pool.spawn(entries[n].body(move |_| {
            gates[n..].iter().for_each(Gate::pass);
            gates[..n].iter().skip(n.saturating_sub(1)).for_each(Gate::open);
            Checked::Ok(())
        }))
    };
    for (job, entry) in [spawn(0), spawn(1), spawn(2)].into_iter().zip(&entries) {
        returned(entry.enter(&job.wait()));
    }
    books.close(pool);
}

/// The system gives no thread, now and then: no job is left to nobody.
fn refused_threads_against_submissions() {
    refuse_threads(&[(); 5].map(|()| chance(2) == 0));
    let pool = builder().threads(..=2).keep_alive(ms(1)).build().expect("no thread yet");
    let books = Books::default();
    let check = |seen| assert!(matches!(seen, Seen::Returned | Seen::Rejected), "{seen:?}");
    let others = [2, 1].map(|jobs| submitter(&pool, &books, jobs, check));
    let entry = books.entry();
    let seen = entry.enter(&pool.job().timeout(ms(60_000)).spawn(entry.deaf(1)).wait());
    assert!(!matches!(seen, Seen::Returned | Seen::Failed) || entry.has_returned());
    join(others);
    refuse_threads(&[]);
    let entry = books.entry();
    returned(entry.enter(&pool.spawn(entry.looks(1)).wait()));
    books.close(pool);
}

/// A new thread that is in its start hook is not counted on, if there is another.
fn start_hooks_against_submissions() {
    let (gate, started) = (Gate::default(), Tally::default());
    let pass = gate.clone();
    let hook = move || {
        started.add();
        if started.get() == 2 {
            pass.pass();
        }
    };
    let settings = builder().threads(1..=2).on_thread_start(hook);
    let pool = settings.build().expect("a thread");
    let books = Books::default();
    join([3, 1].map(|jobs| submitter(&pool, &books, jobs, returned))); // the first thread does all
    gate.open();
    books.close(pool);
}

/// A thread that leaves submits a job, by its hook: that is not lost with its own deque.
fn a_submission_by_a_leaving_thread() {
    let (door, job) = (Arc::new(OnceLock::<(Pool, Entry)>::new()), Arc::new(OnceLock::new()));
    let (inside, given) = (Arc::clone(&door), Arc::clone(&job));
    let given_up = Gate::default();
    let tell = given_up.clone();
    let hook = move || {
        let Some((pool, entry)) = inside.get() else { return };
        if given.get().is_none() {
            let job = pool.spawn(entry.looks(1));
            let _ = given.set(Mutex::new(Some(job)));
            tell.open();
        }
    };
    let settings = builder().threads(..=1).keep_alive(ms(1)).on_thread_stop(hook);
    let pool = settings.build().expect("no thread yet");
    let books = Books::default();
    let _ = door.set((pool.clone(), books.entry()));
    let entry = books.entry();
    returned(entry.enter(&pool.spawn(entry.looks(1)).wait()));
    given_up.pass();
    let job = job.get().and_then(|job| job.lock().take()).expect("it was submitted");
    let (_, entry) = door.get().expect("it is there");
    returned(entry.enter(&job.wait()));
    books.close(pool);
}

/// Entries of jobs that were ended in the queue are swept while others pop: none is lost.
fn sweeps_against_pops() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let other = {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            for _ in 0..2 {
                let (gone, stays) = (books.entry(), books.entry());
                let low = pool.job().priority(Priority::Low).spawn(gone.looks(1));
                let job = pool.spawn(stays.looks(1));
                low.cancel();
                gone.enter(&low.wait());
                returned(stays.enter(&job.wait()));
            }
        })
    };
    let entries = [(); 4].map(|()| books.entry());
    let jobs = entries.clone().map(|entry| pool.spawn(entry.looks(1)));
    for job in &jobs[1..] {
        job.cancel();
    }
    for (job, entry) in jobs.into_iter().zip(&entries) {
        entry.enter(&job.wait());
    }
    join([other]);
    books.close(pool);
}

/// Jobs that spawn jobs: those in the deque of a worker that is stuck are stolen, by all classes'
/// rules, and each is run once. It waits at gates: in a wait for the jobs themselves it would run them.
fn stealing_from_a_stuck_worker() {
    let pool = builder().threads(1..=4).build().expect("threads");
    let books = Books::default();
    let (entry, children) = (books.entry(), Books::default());
    let theirs = children.clone();
    let own = pool.clone();
    let job = pool.spawn(entry.body(move |cx| {
        let priorities = [Priority::Normal, Priority::Low, Priority::Normal, Priority::High];
        let entries = priorities.map(|_| theirs.entry());
        let gates = priorities.map(|_| Gate::default());
        let job = |n: usize| if n == 2 { cx.job() } else { own.job() };
        let jobs: Vec<_> = (0..4)
            .map(|n| {
                let gate = gates[n].clone();
                let body = entries[n].body(move |_| {
                    gate.open();
                    Checked::Ok(())
                });
                job(n).priority(priorities[n]).spawn(body)
            })
            .collect();
        for gate in &gates {
            gate.pass(); // only others can run it
        }
        for (job, entry) in jobs.into_iter().zip(&entries) {
            returned(entry.enter(&job.wait()));
        }
        Checked::Ok(())
    }));
    let other = submitter(&pool, &books, 2, returned);
    returned(entry.enter(&job.wait()));
    join([other]);
    books.append(&children);
    books.close(pool);
}

scenarios! {
    leaving_against_submissions
    many_submissions_against_parking
    jobs_that_wait_for_the_next
    refused_threads_against_submissions
    start_hooks_against_submissions
    a_submission_by_a_leaving_thread
    sweeps_against_pops
    stealing_from_a_stuck_worker
}
