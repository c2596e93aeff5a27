//! How long something took, many times, as the page draws it: a bar for each range of times.

use punctual::Latencies;
use serde_json::{Value, json};
use std::time::Duration;

/// Where one bar ends and the next begins, in microseconds.
const CUTS: [u64; 19] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000,
    500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

#[derive(Clone, Default)]
pub(crate) struct Bars([u64; CUTS.len() + 1]);

impl Bars {
    pub(crate) fn add(&mut self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0[CUTS.partition_point(|cut| *cut <= micros)] += count;
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "cuts_us": CUTS, "counts": self.0 })
    }
}

impl From<&Latencies> for Bars {
    fn from(times: &Latencies) -> Self {
        let mut bars = Self::default();
        for (range, count) in times.buckets() {
            bars.add(range.start + (range.end.saturating_sub(range.start)) / 2, count);
        }
        bars
    }
}
