//! Threads that come and go.

use crate::Pool;
use crate::scenarios::books::{Books, Seen};
use crate::scenarios::{explore, ms};
use crate::sync::model::thread::{spawn, yield_now};

/// No job is left to a thread that leaves: its keep-alive time is up just when one is submitted.
fn leaving_against_submissions() {
    let pool = Pool::builder().threads(..=2).keep_alive(ms(1)).build().expect("no thread yet");
    let books = Books::default();
    let other = {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            for yields in 0..2 {
                let entry = books.entry();
                assert_eq!(entry.enter(&pool.spawn(entry.looks(1)).wait()), Seen::Returned);
                (0..yields).for_each(|_| yield_now());
            }
        })
    };
    for yields in [3, 0, 1] {
        let entry = books.entry();
        assert_eq!(entry.enter(&pool.spawn(entry.looks(1)).wait()), Seen::Returned);
        (0..yields).for_each(|_| yield_now());
    }
    other.join().expect("no panic");
    books.close(pool);
}

#[test]
fn scenario_leaving_against_submissions() {
    explore("leaving_against_submissions", leaving_against_submissions);
}
