//! Properties that need no model: the algebra of time, what settings mean, what errors say.

mod errors;
mod settings;
mod time;

use proptest::prelude::*;
use std::time::Duration;

/// After so long a job counts as hung.
const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

/// A failing case is printed; the seed of another day would mean another case.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let cases = asked.unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any duration, and often one at an end of what there is.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0..2_000_u64).prop_map(Duration::from_millis),
        (0..2_000_u64).prop_map(Duration::from_nanos),
        (0..5_u64).prop_map(|less| Duration::from_secs(u64::MAX - less)),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
}
