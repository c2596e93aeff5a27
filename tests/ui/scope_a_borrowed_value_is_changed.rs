//! What a job borrows is borrowed until the scope's end, though its handle was forgotten.

fn main() {
    let pool = punctual::Pool::new();
    let mut text = String::from("to be");
    pool.scope(|s| {
        let borrow = &text;
        std::mem::forget(s.spawn_blocking(move || borrow.len()));
        text.push('!');
    });
}
