//! The histogram against exact data, and against threads that add to it at once.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;

fn of(times: &[u64]) -> Latencies {
    let histogram = Histogram::default();
    times.iter().for_each(|nanos| histogram.record(Duration::from_nanos(*nanos)));
    histogram.snapshot()
}

/// The one that is reached by so large a share of what is sorted.
fn exact(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn is_near(found: Duration, exact: u64) -> bool {
    let found = to_nanos(found);
    let allowed = if exact < 128 { 4.0 } else { exact as f64 / 32.0 };
    (found as f64 - exact as f64).abs() <= allowed
}

/// As many small as large: the power of two is chosen first.
fn nanos() -> impl Strategy<Value = u64> {
    (0_u32..46, any::<u64>()).prop_map(|(bits, number)| number & ((1 << bits) - 1) | 1 << bits)
}

proptest! {
    #[test]
    fn quantiles_and_mean_are_near_those_of_the_data(
        mut times in vec(nanos(), 1..400),
        share in 0.0..=1.0_f64,
    ) {
        let found = of(&times);
        times.sort_unstable();
        for share in [share, 0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let (quantile, exact) = (found.quantile(share), exact(&times, share));
            prop_assert!(is_near(quantile, exact), "{share}: {quantile:?}, not {exact} ns");
        }
        prop_assert_eq!(found.count(), times.len() as u64);
        prop_assert_eq!(to_nanos(found.min()), times[0]);
        prop_assert_eq!(to_nanos(found.max()), times[times.len() - 1]);
        let mean = times.iter().map(|time| u128::from(*time)).sum::<u128>() / times.len() as u128;
        prop_assert!(is_near(found.mean(), mean as u64), "{:?}, not {mean} ns", found.mean());
    }

    #[test]
    fn what_is_merged_is_what_was_recorded_together_and_can_be_taken_away(
        first in vec(nanos(), 0..50),
        second in vec(nanos(), 0..50),
    ) {
        let (before, later) = (of(&first), of(&second));
        let both = of(&[first, second].concat());
        let mut merged = before.clone();
        merged.merge(&later);
        prop_assert_eq!(&merged, &both);
        let since = both.since(&before);
        prop_assert_eq!(&since.counts, &later.counts);
        prop_assert!(since.is_empty() || is_near(since.max(), to_nanos(later.max())));
        prop_assert_eq!(before.since(&before), Latencies::default());
    }

    #[test]
    fn a_bucket_has_what_is_put_there(nanos in nanos()) {
        let bucket = bucket_of(nanos) as u16;
        prop_assert!(range_of(bucket).contains(&Duration::from_nanos(nanos)));
    }
}

#[test]
fn buckets_follow_on_each_other_without_a_gap() {
    assert_eq!(bounds_of(0), (0, Some(8)));
    for bucket in 1..BUCKETS as u16 {
        let (at, (start, _)) = (usize::from(bucket), bounds_of(bucket));
        assert_eq!(bounds_of(bucket - 1).1, Some(start));
        assert_eq!((bucket_of(start - 1), bucket_of(start)), (at - 1, at));
    }
    let (last, none) = bounds_of(BUCKETS as u16 - 1);
    assert!(none.is_none() && last > 18 * 3600 * 1_000_000_000);
}

#[test]
fn any_duration_and_any_share_is_fine() {
    let none = Latencies::default();
    let some = of(&[5, 1_000, u64::MAX]);
    let far = Histogram::default();
    far.record(Duration::MAX);
    far.record(Duration::ZERO);
    let far = far.snapshot();
    assert_eq!((far.min(), to_nanos(far.max()), far.count()), (Duration::ZERO, u64::MAX, 2));
    for share in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300, f64::MIN_POSITIVE] {
        assert_eq!(none.quantile(share), Duration::ZERO);
        assert!([some.min(), some.max()].contains(&some.quantile(share)), "{share}");
    }
    assert_eq!(some.quantile(f64::NAN), some.min());
    assert_eq!((none.mean(), none.min(), none.max()), Default::default());
    assert_eq!(to_nanos(some.quantile(0.999)), u64::MAX, "counted as the longest");
}

#[test]
fn nothing_is_lost_however_many_add_at_once() {
    const EACH: u64 = 1_000_000;
    let (histogram, start) = (Histogram::default(), Barrier::new(5));
    let over = AtomicBool::new(false);
    thread::scope(|s| {
        let add = |n: u64| {
            let (histogram, start) = (&histogram, &start);
            move || {
                start.wait();
                (0..EACH).for_each(|i| histogram.record(Duration::from_nanos(1 + n * 7 + i % 16)));
            }
        };
        let adding: Vec<_> = (0..4).map(|n| s.spawn(add(n))).collect();
        let looking = s.spawn(|| {
            start.wait();
            let mut last = Latencies::default();
            // ORDERING: Relaxed; it only says when to stop.
            while !over.load(Ordering::Relaxed) {
                let now = histogram.snapshot();
                assert!(now.count() >= last.count());
                let beyond = |(bucket, _): &(u16, u64)| {
                    let (from, to) = bounds_of(*bucket);
                    from > now.longest || to.is_some_and(|to| to <= now.shortest)
                };
                assert!(!now.counts.iter().any(beyond), "rule 2: {now:?}");
                last = now;
            }
        });
        adding.into_iter().for_each(|thread| thread.join().expect("no panic"));
        // ORDERING: Relaxed, as above.
        over.store(true, Ordering::Relaxed);
        looking.join().expect("no panic");
    });
    let all = histogram.snapshot();
    assert_eq!((all.count(), all.min()), (4 * EACH, Duration::from_nanos(1)));
    assert_eq!(all.max(), Duration::from_nanos(3 * 7 + 16));
}

#[test]
fn it_can_be_shown() {
    let times = of(&[1_000_000; 3]);
    let expected = "Latencies { count: 3, min: 1ms, p50: 1ms, p99: 1ms, max: 1ms, .. }";
    assert_eq!(format!("{times:?}"), expected);
    let buckets: Vec<_> = times.buckets().collect();
    assert_eq!(buckets.len(), 1);
    assert!(buckets[0].0.contains(&Duration::from_millis(1)) && buckets[0].1 == 3);
}
