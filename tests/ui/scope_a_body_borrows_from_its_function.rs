//! What is declared in the scope's own function ends before its jobs do.

fn main() {
    let pool = punctual::Pool::new();
    pool.scope(|s| {
        let inner = String::from("gone before the job is");
        let borrow = &inner;
        s.spawn_blocking(move || borrow.len());
    });
}
