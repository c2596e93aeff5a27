//! What must not compile, each beside what does and is as like it as can be. (The numbers of the
//! errors are checked where the documentation's tests are run by a nightly compiler.)

/// What is declared in the scope's own function ends before its jobs do.
///
/// ```
/// # let pool = punctual::Pool::new();
/// let outer = 1;
/// pool.scope(|s| {
///     let borrow = &outer;
///     s.spawn_blocking(move || *borrow);
/// });
/// ```
///
/// ```compile_fail,E0597
/// # let pool = punctual::Pool::new();
/// pool.scope(|s| {
///     let inner = 1;
///     let borrow = &inner;
///     s.spawn_blocking(move || *borrow);
/// });
/// ```
///
/// Not by way of settings either, whose lifetime must not be cut short:
///
/// ```compile_fail,E0597
/// # let pool = punctual::Pool::new();
/// pool.scope(|s| {
///     let inner = 1;
///     let borrow = &inner;
///     s.with(pool.job()).spawn_blocking(move || *borrow);
/// });
/// ```
///
/// ```compile_fail
/// use punctual::ScopedJob;
///
/// fn cut<'short, 'scope: 'short, 'env>(job: ScopedJob<'scope, 'env>) -> ScopedJob<'short, 'env> {
///     job
/// }
/// ```
///
/// Nor through the scope:
///
/// ```compile_fail
/// use punctual::Scope;
///
/// fn cut<'short, 'scope: 'short, 'env: 'scope>(
///     s: &'scope Scope<'scope, 'env>,
/// ) -> &'short Scope<'short, 'env> {
///     s
/// }
/// ```
struct Inner;

/// Neither a handle nor the scope leaves it.
///
/// ```
/// # let pool = punctual::Pool::new();
/// let stash = pool.scope(|s| s.spawn_blocking(|| 1).wait());
/// # drop(stash);
/// ```
///
/// ```compile_fail
/// # let pool = punctual::Pool::new();
/// let stash = pool.scope(|s| s.spawn_blocking(|| 1));
/// # drop(stash);
/// ```
///
/// ```compile_fail,E0521
/// # let pool = punctual::Pool::new();
/// let mut stash = None;
/// pool.scope(|s| stash = Some(s.spawn_blocking(|| 1)));
/// # drop(stash);
/// ```
///
/// ```compile_fail,E0521
/// # let pool = punctual::Pool::new();
/// let mut stash = None;
/// pool.scope(|s| stash = Some(s));
/// # drop(stash);
/// ```
///
/// ```compile_fail,E0521
/// # let pool = punctual::Pool::new();
/// pool.scope(|s| drop(std::thread::spawn(move || s.cancel())));
/// ```
struct Escape;

/// What jobs borrow stays borrowed until the scope's end.
///
/// ```
/// # let pool = punctual::Pool::new();
/// let mut number = 1;
/// pool.scope(|s| {
///     s.spawn_blocking(|| number += 1);
/// });
/// number += 1;
/// # assert_eq!(number, 3);
/// ```
///
/// ```compile_fail,E0506
/// # let pool = punctual::Pool::new();
/// let mut number = 1;
/// pool.scope(|s| {
///     s.spawn_blocking(|| number += 1);
///     number += 1;
/// });
/// ```
///
/// ```compile_fail,E0499
/// # let pool = punctual::Pool::new();
/// let mut number = 1;
/// pool.scope(|s| {
///     s.spawn_blocking(|| number += 1);
///     s.spawn_blocking(|| number += 1);
/// });
/// ```
///
/// ```compile_fail,E0505
/// # let pool = punctual::Pool::new();
/// let text = String::from("to be");
/// pool.scope(|s| {
///     let borrow = &text;
///     s.spawn_blocking(move || borrow.len());
///     drop(text);
/// });
/// ```
struct Borrowed;

/// Bodies and values go to other threads.
///
/// ```
/// # let pool = punctual::Pool::new();
/// let shared = std::sync::Arc::new(1);
/// pool.scope(|s| drop(s.spawn_blocking(|| *shared)));
/// pool.scope(|s| drop(s.spawn_blocking(|| std::sync::Arc::new(1))));
/// ```
///
/// ```compile_fail,E0277
/// # let pool = punctual::Pool::new();
/// let shared = std::rc::Rc::new(1);
/// pool.scope(|s| drop(s.spawn_blocking(|| *shared)));
/// ```
///
/// ```compile_fail,E0277
/// # let pool = punctual::Pool::new();
/// pool.scope(|s| drop(s.spawn_blocking(|| std::rc::Rc::new(1))));
/// ```
struct NotSend;
