//! A body runs on another thread: what it captures must be fit for that.

use std::rc::Rc;

fn main() {
    let pool = punctual::Pool::new();
    let shared = Rc::new(1);
    pool.scope(|s| {
        s.spawn_blocking(move || *shared);
    });
}
