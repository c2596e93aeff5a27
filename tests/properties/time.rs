//! The algebra of deadlines and priorities.

use crate::{config, duration};
use proptest::prelude::*;
use punctual::{Deadline, Priority};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A moment about which deadlines are made; the same for all.
fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now)
}

/// Deadlines before and after, close together and far apart, and none.
fn deadline() -> impl Strategy<Value = Deadline> {
    let near = |n: i64| {
        let (time, now) = (Duration::from_nanos(n.unsigned_abs()), now());
        let at = if n < 0 { now.checked_sub(time) } else { now.checked_add(time) };
        at.map_or(Deadline::NEVER, Deadline::at)
    };
    prop_oneof![
        4 => (-20..20_i64).prop_map(near),
        2 => any::<i64>().prop_map(near),
        2 => duration().prop_map(Deadline::after),
        1 => Just(Deadline::NEVER),
    ]
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn the_earliest_is_a_meet(a in deadline(), b in deadline(), c in deadline()) {
        let meet = a.earliest(b);
        prop_assert!(meet <= a && meet <= b && (meet == a || meet == b));
        prop_assert_eq!(meet, b.earliest(a));
        prop_assert_eq!(a.earliest(b.earliest(c)), a.earliest(b).earliest(c));
        prop_assert_eq!(a.earliest(a), a);
        prop_assert_eq!(a.earliest(Deadline::NEVER), a);
        prop_assert_eq!(Deadline::NEVER.earliest(a), a);
    }

    #[test]
    fn the_order_of_deadlines_is_that_of_instants(a in deadline(), b in deadline()) {
        let expected = match (a.instant(), b.instant()) {
            (Some(a), Some(b)) => a.cmp(&b),
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
        };
        prop_assert_eq!(a.cmp(&b), expected);
        prop_assert_eq!(a.partial_cmp(&b), Some(expected));
        prop_assert_eq!(a == b, expected == Ordering::Equal);
        let both: HashSet<Deadline> = [a, b].into();
        prop_assert_eq!(both.len() == 1, a == b);
        prop_assert_eq!(a.max(b) == a, a >= b);
    }

    #[test]
    fn a_deadline_is_its_instant(a in deadline()) {
        match a.instant() {
            Some(at) => prop_assert!(a == Deadline::at(at) && a == Deadline::from(at)),
            None => prop_assert_eq!(a, Deadline::NEVER),
        }
    }

    #[test]
    fn after_a_while_saturates(time in duration(), more in duration()) {
        let before = Instant::now();
        let deadline = Deadline::after(time);
        let (early, late) = (before.checked_add(time), Instant::now().checked_add(time));
        match deadline.instant() {
            Some(at) => {
                prop_assert!(Some(at) >= early && late.is_none_or(|late| at <= late));
                prop_assert!(deadline.remaining().is_some_and(|left| left <= time));
            }
            None => prop_assert_eq!(late, None),
        }
        prop_assert!(Deadline::after(time.saturating_add(more)) >= deadline);
    }

    #[test]
    fn what_has_passed_has_nothing_left(a in deadline()) {
        let passed = a.has_passed();
        let left = a.remaining();
        prop_assert!(!passed || left == Some(Duration::ZERO));
        prop_assert!(left != Some(Duration::ZERO) || a.has_passed());
        prop_assert_eq!(left.is_none(), a == Deadline::NEVER);
        prop_assert!(a > Deadline::at(Instant::now()) || a.has_passed());
    }
}

#[test]
fn a_priority_is_higher_than_those_below_it() {
    let classes = [Priority::Low, Priority::Normal, Priority::High];
    assert!(classes.is_sorted() && classes.iter().collect::<HashSet<_>>().len() == 3);
    assert_eq!(Priority::default(), Priority::Normal);
}
