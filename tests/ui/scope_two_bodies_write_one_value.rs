//! What one job may write, another may not touch until the scope's end, though it be in a lane.

fn main() {
    let pool = punctual::Pool::new();
    let mut sum = 0;
    pool.lane("sums").limit(1).scope(|s| {
        s.spawn_blocking(|| sum += 1);
        s.spawn_blocking(|| sum += 2);
    });
}
