//! Random programs, run by a pool and by its specification: they must agree at every step.
//!
//! The pool's clock is moved by hand, and its bodies do what they are told, so a program has one
//! result. A failing one shrinks to the few steps that matter, and is printed as the code for
//! `programs`, where such are kept.

mod body;
mod both;
mod program;
mod programs;
mod real;
mod spec;
mod state;

use both::{Both, aim};
use program::{Act, Asked, By, FAR, Settings, Step, TOKENS, Time};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use punctual::Priority;
use state::Pool;
use std::fmt;

struct Machine;

/// A step that is printed on one line.
#[derive(Clone)]
struct Line(Step);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn time() -> impl Strategy<Value = Option<Time>> {
    prop_oneof![12 => Just(None), 7 => (0..12_i64).prop_map(Some), 1 => Just(Some(FAR))]
}

fn within() -> impl Strategy<Value = Option<Time>> {
    prop_oneof![Just(None), (0..8_i64).prop_map(Some)]
}

fn settings() -> impl Strategy<Value = Settings> {
    let workers = prop_oneof![6 => Just(1), 1 => Just(2), 1 => Just(3)];
    let rarely = || prop::option::weighted(0.15, 1..12_i64);
    let limit = prop::option::weighted(0.7, 1..5_usize);
    (workers, prop::bool::weighted(0.7), limit, rarely(), rarely()).prop_map(
        |(workers, ready, limit, timeout, grace)| Settings {
            workers,
            ready,
            limit,
            timeout,
            grace,
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let deadline = prop::option::weighted(0.2, -2..12_i64);
    let token = prop::option::weighted(0.25, 0..TOKENS);
    let times = (time(), deadline, time(), time(), time());
    (any::<bool>(), priority(), times, token, any::<bool>()).prop_map(
        |(named, priority, (timeout, deadline, queue, run, grace), token, on_late)| Asked {
            named,
            priority,
            timeout,
            deadline,
            queue,
            run,
            grace,
            token,
            on_late,
        },
    )
}

fn submit() -> impl Strategy<Value = Step> {
    let by = prop_oneof![
        8 => Just(By::Pool),
        1 => Just(By::Permit),
        2 => (0..4_usize).prop_map(By::Context),
        2 => (0..3_usize).prop_map(By::Body),
    ];
    (by, asked()).prop_map(|(by, asked)| Step::Submit(by, asked))
}

fn act() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        8 => Just(Act::Return),
        3 => Just(Act::Fail),
        3 => Just(Act::Panic),
        3 => Just(Act::Checkpoint),
        4 => Just(Act::Check),
        1 => Just(Act::Token),
        3 => any::<bool>().prop_map(|panics| Act::Listen { panics }),
        1 => Just(Act::Unlisten),
    ];
    (0..3_usize, act).prop_map(|(job, act)| Step::Act(job, act))
}

impl ReferenceStateMachine for Machine {
    type State = Pool;
    type Transition = Line;

    fn init_state() -> BoxedStrategy<Pool> {
        settings().prop_map(|settings| Pool::new(&settings)).boxed()
    }

    fn transitions(_: &Pool) -> BoxedStrategy<Line> {
        let job = || 0..12_usize;
        prop_oneof![
            80 => submit(),
            80 => act(),
            60 => (0..8_i64).prop_map(Step::Advance),
            15 => job().prop_map(Step::Take),
            15 => job().prop_map(Step::Cancel),
            8 => job().prop_map(Step::DropHandle),
            8 => job().prop_map(Step::CancelByDrop),
            8 => job().prop_map(Step::CancelOwnToken),
            8 => (0..TOKENS).prop_map(Step::CancelToken),
            8 => Just(Step::Reserve),
            6 => Just(Step::Await),
            2 => (0..4_usize).prop_map(Step::GiveUp),
            4 => Just(Step::DropPermit),
            4 => within().prop_map(Step::Drain),
            4 => within().prop_map(Step::Shutdown),
            3 => Just(Step::DropPool),
        ]
        .prop_map(Line)
        .boxed()
    }

    fn preconditions(pool: &Pool, Line(step): &Line) -> bool {
        aim(pool, step).is_some()
    }

    fn apply(mut pool: Pool, Line(step): &Line) -> Pool {
        if let Some(step) = aim(&pool, step) {
            pool.step(&step);
            pool.settle(|may| may[0]); // the real pool may choose another
        }
        pool
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Both;
    type Reference = Self;

    fn init_test(spec: &Pool) -> Both {
        Both::new(&spec.settings)
    }

    fn apply(mut both: Both, _: &Pool, Line(step): Line) -> Both {
        both.step(&step);
        both
    }

    fn teardown(both: Both, _: Pool) {
        both.finish();
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        4 => Just(Priority::Normal),
        1 => Just(Priority::High),
        1 => Just(Priority::Low),
    ]
}

/// How many programs the first test runs, where `PROPTEST_CASES` does not say; another runs more or
/// less in proportion.
const USUAL: u32 = 2_000;

fn config(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let cases = asked.unwrap_or(USUAL).div_ceil(USUAL / usual);
    let is_defect = option_env!("PUNCTUAL_IMPATIENT").is_some(); // each try to shrink may hang
    ProptestConfig {
        cases,
        max_shrink_iters: if is_defect { 1 } else { 10_000 },
        max_shrink_time: 120_000,
        max_local_rejects: u32::MAX,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(config(USUAL))]

    #[test]
    fn a_pool_does_what_its_specification_does(sequential 1..40 => Machine);
}

proptest! {
    #![proptest_config(config(200))]

    /// Long queues, in which the turns of the lower classes come.
    #[test]
    fn a_worker_serves_classes_in_their_order(
        jobs in prop::collection::vec((priority(), prop::bool::weighted(0.2)), 1..60),
    ) {
        let mut steps = vec![Step::Submit(By::Pool, Asked::default())];
        for (priority, inside) in &jobs {
            let by = if *inside { By::Body(0) } else { By::Pool };
            steps.push(Step::Submit(by, Asked { priority: *priority, ..Asked::default() }));
        }
        steps.extend((0..=jobs.len()).map(|_| Step::Act(0, Act::Return)));
        both::run(&program::PLAIN, &steps);
    }
}
