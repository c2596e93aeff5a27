//! The three classes a queued job can be in.

/// How soon a queued job is taken, against the others of its pool.
///
/// A class is served before those below it. No class waits for ever: every worker looks at the
/// lower ones first every so many jobs. A job that runs is never interrupted for another.
///
/// # Examples
///
/// ```
/// use punctual::{Pool, Priority};
///
/// let pool = Pool::new();
/// let urgent = pool.job().priority(Priority::High).spawn_blocking(|| 1);
/// assert_eq!(urgent.wait().unwrap(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Priority {
    /// Taken when nothing else waits.
    Low,
    /// What a job has that asks for nothing.
    #[default]
    Normal,
    /// Taken before all others.
    High,
}
