//! A handle of a scoped job does not leave the scope: what it would give may borrow from there.

fn main() {
    let pool = punctual::Pool::new();
    let handle = pool.scope(|s| s.spawn_blocking(|| 1));
    println!("{:?}", handle.wait());
}
