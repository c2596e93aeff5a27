//! The feature `serde`: a snapshot as numbers that any program can read, and back.

use super::{Latencies, bounds_of, bucket_of};
use serde::{Deserialize, Serialize};

/// What is written of a snapshot. The buckets are named by the shortest duration they take, so that
/// others need not know how they are numbered.
#[derive(Serialize, Deserialize)]
pub(super) struct Flat {
    min_ns: u64,
    max_ns: u64,
    /// From how many nanoseconds on, and how many times.
    buckets: Vec<(u64, u64)>,
}

impl From<Latencies> for Flat {
    fn from(times: Latencies) -> Self {
        let buckets = times.counts.iter().map(|(bucket, count)| (bounds_of(*bucket).0, *count));
        Self { min_ns: times.shortest, max_ns: times.longest, buckets: buckets.collect() }
    }
}

/// Whatever was written: buckets may come in any order, more than once, and from other programs.
impl From<Flat> for Latencies {
    fn from(flat: Flat) -> Self {
        let mut all = Self::default();
        for (from, count) in flat.buckets {
            let bucket = bucket_of(from) as u16;
            let ends = [flat.min_ns.min(flat.max_ns), flat.max_ns];
            all.merge(&Self::new(vec![(bucket, count)], ends));
        }
        all
    }
}
