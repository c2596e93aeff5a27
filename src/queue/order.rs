//! Which of the jobs that wait is started first.

/// In which order the jobs of one [`Priority`](crate::Priority) are started.
///
/// # Examples
///
/// ```
/// use punctual::{Order, Pool};
///
/// let pool = Pool::builder().order(Order::Fifo).build().unwrap();
/// # assert!(pool.spawn_blocking(|| ()).wait().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// Jobs that have a deadline: the one that must start, or end, the earliest. Jobs without one: in
    /// the order in which they came. Where both wait, they take turns. Jobs that could not be done in
    /// time are refused, as [`TooLate`](crate::Rejection::TooLate), instead of being started: those that
    /// have less time left than jobs of their kind (name, lane or place of spawn) lately took. Where
    /// others wait that keep the threads busy for as long, so are those that have less left than the
    /// longest of their kind took, and less than half of their time.
    #[default]
    EarliestDeadline,
    /// In the order in which they came, whatever their deadlines; refused only when they have passed.
    Fifo,
}
