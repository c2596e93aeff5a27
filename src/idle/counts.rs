//! What one word says of the workers and the entries that wait for them.

const FIELD: u32 = 12;
pub(super) const SEARCHING: u64 = 1;
pub(super) const IDLE: u64 = 1 << FIELD;
pub(super) const TOTAL: u64 = 1 << (2 * FIELD);
pub(super) const RETIRED: u64 = 1 << (3 * FIELD);
pub(super) const QUEUED: u64 = RETIRED << 1;

/// The most threads that the word can count.
pub(crate) const MAX_THREADS: usize = (1 << FIELD) - 1;
/// The most queue entries that the word can count, with room for submitters that overshoot.
pub(crate) const MAX_QUEUED: u64 = (u64::MAX / QUEUED) - (1 << 16);

/// A copy of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts(pub(super) u64);

impl Counts {
    pub(crate) fn queued(self) -> u64 {
        self.0 / QUEUED
    }

    pub(crate) fn searching(self) -> usize {
        self.field(0)
    }

    pub(crate) fn idle(self) -> usize {
        self.field(1)
    }

    pub(crate) fn total(self) -> usize {
        self.field(2)
    }

    pub(crate) fn retired(self) -> bool {
        self.0 & RETIRED != 0
    }

    fn field(self, n: u32) -> usize {
        (self.0 >> (n * FIELD)) as usize & MAX_THREADS
    }
}
