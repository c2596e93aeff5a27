//! Locks of files.

use crate::blocked::ends;
use crate::places::Place;
use crate::support::{news, outcome, pool_of};
use std::fs::{File, OpenOptions};
use std::io;

/// Two open descriptions of one new file.
fn two() -> (Place, File, File) {
    let place = Place::new();
    let open = || OpenOptions::new().create(true).append(true).open(&place.0).expect("a place");
    let (one, other) = (open(), open());
    (place, one, other)
}

#[test]
fn a_wait_for_a_lock_ends() {
    let (_place, held, wanted) = two();
    let lock = pool_of(1).spawn(move |cx| cx.lock_file(held));
    let _lock = outcome(lock).expect("nobody has it");
    let own = wanted.try_clone().expect("there are descriptors");
    ends(move |cx| cx.lock_file(&own).map(drop));
    ends(move |cx| cx.lock_file_shared(&wanted).map(drop));
}

#[test]
fn a_lock_is_had_when_it_is_given_back_and_by_many_who_share_it() {
    let (_place, first, second) = two();
    let pool = pool_of(2);
    let (locked, is_locked) = news();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let holder = pool.spawn(move |cx| -> io::Result<File> {
        let lock = cx.lock_file(&first)?;
        locked.send("first").expect("the test listens");
        let _ = gate.recv();
        drop(lock);
        Ok(first)
    });
    assert_eq!(is_locked.next(), "first");
    let waiter = pool.spawn(move |cx| -> io::Result<File> {
        drop(cx.lock_file(&second)?);
        Ok(second)
    });
    assert!(!waiter.is_finished());
    drop(go);
    let first = outcome(holder).expect("nobody stopped it");
    let second = outcome(waiter).expect("it is given back");
    let shared = pool.spawn(move |cx| -> io::Result<()> {
        let _one = cx.lock_file_shared(&first)?;
        cx.lock_file_shared(&second).map(drop)
    });
    outcome(shared).expect("both share it");
}
