//! The scope does not leave its function: a job that is spawned after its end would be waited for by
//! nobody.

fn main() {
    let pool = punctual::Pool::new();
    let mut stash = None;
    pool.scope(|s| stash = Some(s));
    stash.map(|s| s.spawn_blocking(|| ()));
}
