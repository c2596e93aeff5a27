//! Random programs, run by a pool and by its specification: they must agree at every step.
//!
//! The pool has one worker and a clock that is moved by hand, and its bodies do what they are told,
//! so a program has one result. A failing one shrinks to the few steps that matter.

mod real;
mod spec;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use real::Real;
use spec::{Act, Asked, Pool};

const LIMIT: usize = 4;
const TOKENS: usize = 2;

/// One step of a program.
#[derive(Clone, Debug)]
enum Step {
    Submit(Asked),
    Cancel(usize),
    CancelToken(usize),
    Advance(u64),
    Act(Act),
    DropHandle(usize),
    Drain,
    Shutdown,
}

struct Machine;

fn time() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => Just(None), 2 => (0_u64..12).prop_map(Some)]
}

fn asked(started: Vec<usize>) -> impl Strategy<Value = Asked> {
    let parent = match started.is_empty() {
        true => Just(None).boxed(),
        false => prop::option::weighted(0.4, prop::sample::select(started)).boxed(),
    };
    let token = prop::option::weighted(0.3, 0..TOKENS);
    (time(), time(), time(), time(), token, parent).prop_map(
        |(timeout, queue, run, grace, token, parent)| Asked {
            timeout,
            queue,
            run,
            grace,
            token,
            parent,
        },
    )
}

impl ReferenceStateMachine for Machine {
    type State = Pool;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Pool> {
        Just(Pool::new(LIMIT, TOKENS)).boxed()
    }

    fn transitions(pool: &Pool) -> BoxedStrategy<Step> {
        let started = (0..pool.jobs.len()).filter(|job| pool.jobs[*job].has_started()).collect();
        let act = prop_oneof![
            3 => Just(Act::Return),
            1 => Just(Act::Fail),
            1 => Just(Act::Panic),
            1 => Just(Act::Checkpoint),
            2 => Just(Act::Check),
        ];
        let any = prop_oneof![
            80 => asked(started).prop_map(Step::Submit),
            60 => act.prop_map(Step::Act),
            60 => (0_u64..8).prop_map(Step::Advance),
            4 => (0..TOKENS).prop_map(Step::CancelToken),
            2 => Just(Step::Drain),
            2 => Just(Step::Shutdown),
        ];
        if pool.jobs.is_empty() {
            return any.boxed();
        }
        let one = 0..pool.jobs.len();
        prop_oneof![
            10 => any,
            2 => one.clone().prop_map(Step::Cancel),
            1 => one.prop_map(Step::DropHandle),
        ]
        .boxed()
    }

    fn apply(mut pool: Pool, step: &Step) -> Pool {
        advance_spec(&mut pool, step);
        pool
    }

    fn preconditions(pool: &Pool, step: &Step) -> bool {
        match step {
            Step::Cancel(job) | Step::DropHandle(job) => *job < pool.jobs.len(),
            Step::Submit(Asked { parent: Some(parent), .. }) => {
                pool.jobs.get(*parent).is_some_and(spec::Job::has_started)
            }
            _ => true,
        }
    }
}

fn advance_spec(pool: &mut Pool, step: &Step) {
    match step {
        Step::Submit(asked) => pool.submit(asked),
        Step::Cancel(job) => drop(pool.cancel(*job)),
        Step::CancelToken(token) => pool.cancel_token(*token),
        Step::Advance(time) => pool.advance(*time),
        Step::Act(act) => drop(pool.act(*act)),
        Step::DropHandle(_) => {}
        Step::Drain => pool.drain(),
        Step::Shutdown => pool.shutdown(),
    }
}

/// The real pool, and the specification as it was before the step.
struct Both {
    real: Real,
    spec: Pool,
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Both;
    type Reference = Self;

    fn init_test(spec: &Pool) -> Both {
        Both { real: Real::new(LIMIT, TOKENS), spec: spec.clone() }
    }

    fn apply(mut both: Both, after: &Pool, step: Step) -> Both {
        let before = &mut both.spec;
        match &step {
            Step::Submit(asked) => both.real.submit(asked),
            Step::Cancel(job) => assert_eq!(both.real.cancel(*job), before.cancel(*job)),
            Step::CancelToken(token) => both.real.cancel_token(*token),
            Step::Advance(time) => both.real.advance(*time),
            Step::Act(act) => {
                if let Some(job) = before.running() {
                    let said = before.act(*act);
                    let ends = before.running() != Some(job);
                    assert_eq!(both.real.act(job, *act, ends), said);
                }
            }
            Step::DropHandle(job) => both.real.drop_handle(*job),
            Step::Drain => both.real.drain(),
            Step::Shutdown => both.real.shutdown(),
        }
        both.spec = after.clone();
        both.real.assert_agrees(after);
        both
    }

    fn teardown(both: Both, _: Pool) {
        both.real.finish();
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_pool_does_what_its_specification_does(sequential 1..40 => Machine);
}
