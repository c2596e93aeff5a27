//! Faults and hostile inputs: for each, the test that it is survived, or the sentence of the docs that
//! says why not. The last test here checks that all those exist.
//!
//! | | what goes wrong | what answers it |
//! |---|---|---|
//! | 1 | a body panics | `a_panic_in_the_body` |
//! | 2 | what a body captured panics when dropped | `a_panic_in_a_captures_drop` `a_panicking_destructor_delays_nobody_elses_deadline` `two_destructors_that_panic_are_both_told` |
//! | 3 | it does so while the body's own panic unwinds | `a_destructor_that_panics_while_a_body_unwinds_ends_the_process`, "aborts the process, as everywhere in Rust" |
//! | 4 | an outcome panics when dropped | `a_panic_in_the_outcomes_drop` `a_lost_value_that_panics_when_dropped_is_told` |
//! | 5 | the payload of a panic panics when dropped | `a_panic_in_a_payloads_drop` |
//! | 6 | a waker panics: cloned, woken or dropped | `a_waker_that_panics_when_cloned_leaves_the_job_unharmed` `a_panic_in_a_waker` `a_waker_that_panics_leaves_nobody_behind_it_in_the_line` `a_waker_that_panics_when_dropped_does_not_unwind_out_of_a_destructor` |
//! | 7 | a function given to `on_stop` panics | `a_panicking_callback_stops_neither_the_others_nor_the_canceller` |
//! | 8 | a waker, hook or destructor calls back | `wakers_and_hooks_may_use_the_pool` `destructors_may_use_the_pool` `a_waker_may_drop_what_waits_for_a_place` `the_captures_of_a_refused_job_may_wait_for_another` |
//! | 9 | the system gives no thread | `a_pool_without_its_fewest_threads_is_not_built_and_leaves_none` `a_pool_that_can_not_grow_leaves_its_jobs_to_the_threads_it_has` `a_deadline_without_a_thread_to_watch_it_is_refused` `a_pool_recovers_when_threads_can_be_had_again` `without_a_deputy_a_slow_destructor_costs_time_and_no_job` `a_deputy_that_was_not_to_be_had_is_asked_for_again` `a_stack_that_is_not_to_be_had_is_a_thread_that_is_not` `a_process_that_may_have_no_more_threads` `storms_with_few_threads_lose_nothing` |
//! | 10 | there is no memory | "A failed allocation aborts" |
//! | 11 | endless times | `endless_times_are_no_limits` `an_endless_grace_after_a_stop_overflows_nothing` `waits_take_any_times` |
//! | 12 | no time, and deadlines in the past | `no_time_and_past_deadlines_never_start` |
//! | 13 | the clock jumps, the machine sleeps | `nothing_times_out_before_its_deadline`, "While the machine sleeps that clock stands still" |
//! | 14 | a deadline comes while the body runs | `a_deaf_body_does_not_keep_its_handle` `a_late_value_without_a_hook_is_dropped` |
//! | 15 | cancel, deadline and end race | `racing_stoppers_leave_one_outcome` `of_racing_cancels_one_hits_the_queued_job` |
//! | 16 | a body never looks | `a_shutdown_in_time_names_what_still_runs` `a_deaf_body_does_not_keep_its_handle`, "no safe way exists to end a thread" |
//! | 17 | a job waits for another of its full pool | "on a queued job runs it right there" |
//! | 18 | a job spawns jobs | `jobs_that_workers_submit_run_once_too` `a_job_of_a_closed_pool_spawns_no_more` |
//! | 19 | a pool is dropped by its own job | `a_pool_dropped_by_its_own_job_lets_it_spawn_children` |
//! | 20 | a handle is dropped by its own job | `a_handle_may_be_dropped_by_its_own_body` |
//! | 21 | a handle is forgotten | `a_forgotten_handle_keeps_the_pool_from_nothing` |
//! | 22 | a pool is forgotten | `a_forgotten_pool_goes_on` |
//! | 23 | a shutdown races submissions | `a_hundred_thousand_jobs_racing_a_shutdown` |
//! | 24 | a shutdown of any kind, several at once | `all_who_wait_for_a_shutdown_are_told` `a_drain_finishes_every_accepted_job` `storms_of_ends_lose_nothing` |
//! | 25 | millions of jobs are queued | `a_queued_job_costs_one_small_allocation` `a_long_queue_ends_at_once` |
//! | 26 | there are very many deadlines | `many_deadlines_are_set_and_taken_back_quickly` |
//! | 27 | the process forks | `a_body_may_start_a_process`, "After `fork` a child has none of the threads" |
//! | 28 | the process ends while jobs run | `without_a_guard_the_process_ends_at_once` `a_job_may_end_the_process` `a_process_may_exit_in_the_midst_of_everything` `a_process_ends_by_a_signal_in_the_midst_of_a_drain` `a_signal_handler_may_begin_the_drain`, "A process that exits ends its threads" |
//! | 29 | thread-locals use the pool as they are dropped | `a_thread_local_may_submit_as_it_is_dropped` `after_a_waited_shutdown_the_threads_and_their_thread_locals_are_gone` |
//! | 30 | signals interrupt system calls | `a_storm_of_signals_disturbs_no_timer` `a_process_that_was_stopped_goes_on` |
//! | 31 | waits return for no reason, steals are to be tried again | `threads_that_are_unparked_for_nothing_wait_on` |
//! | 32 | the hooks of threads panic | `a_panic_in_an_on_stop_hook_on_late_hook_and_thread_hook` |
//! | 33 | a body overflows its stack | `a_body_that_overflows_its_stack_ends_the_process` `a_body_has_the_stack_it_was_promised`, "A body that overflows its stack" |
//! | 34 | panics abort | "Where panics abort" |
//! | 35 | a handle is polled after it gave its outcome | `a_handle_gives_its_outcome_once` |
//! | 36 | a handle is polled by one task after another | `a_waker_that_is_replaced_is_not_woken` `a_handle_can_be_selected_over_and_polled_again` |
//! | 37 | a counter of references overflows | "clones of a handle that are forgotten without end" |
//! | 38 | very long lines of children and tokens | `a_long_line_of_children_is_freed_as_it_goes` `stopping_a_long_line_of_running_children_needs_no_deep_stack` `a_deep_tree_of_tokens_stops_its_job` `jobs_that_stop_each_other_in_a_ring_stop_once` |
//! | 39 | a body is stopped while it holds a lock | "no safe way exists to end a thread" |
//! | 40 | one worker feeds itself for ever | `lower_classes_are_not_starved` `a_workers_own_job_is_not_starved_by_a_higher_class` `a_job_behind_a_blocked_worker_is_stolen_by_one_that_never_runs_dry` |
//!
//! And the bugs of others that this crate must not have:
//!
//! | whose | what it was | what would find it here |
//! |---|---|---|
//! | tokio #8056 | at the cap of threads two submissions counted on one sleeper | `two_submitters_at_the_cap` |
//! | tokio #8406, bun #37738 | threads that fail to start orphan a job | `a_thread_that_fails_to_start_against_a_submission` `a_pool_recovers_when_threads_can_be_had_again` |
//! | tokio #6439 #7910 #7922 | the idle count is lowered twice as the pool ends | `a_retirement_against_workers_that_park` `storms_of_ends_lose_nothing` |
//! | tokio #1560 | the idle count is not lowered when a keep-alive is over | `a_worker_that_leaves_against_a_submission` |
//! | tokio #8373 | two records of who sleeps drift apart | `two_workers_and_two_jobs_that_wait_for_each_other` |
//! | tokio #525, futures #1170 | a worker parks past a submission | `a_worker_that_parks_against_a_submission` |
//! | affinitypool #8 | a wait that returned for no reason freed the job | `threads_that_are_unparked_for_nothing_wait_on` |
//! | rayon #739 #929, rustc #146799 | a latch is touched after its owner was let go | `the_end_of_a_job_against_a_handle_that_goes_after_a_poll` `the_end_of_a_job_against_a_poll` |
//! | oneshot #73 #87 | the handle goes while it is being woken | `the_end_of_a_job_against_a_handle_that_goes_after_a_poll` |
//! | tokio #5578 #5471 #5475 #5154 #3689 | wakers are cloned, woken or dropped under a lock | `wakers_and_hooks_may_use_the_pool` `a_waker_may_drop_what_waits_for_a_place` `a_panic_in_a_waker` |
//! | tokio #4430 | a second panic as a handle is dropped | `a_panic_in_the_outcomes_drop` |
//! | tokio #4495 #6612 | long times overflow | `endless_times_are_no_limits` |
//! | crossbeam-channel RUSTSEC-2025-0024 | what a queue held is dropped twice as it goes | `storms_of_everything_lose_nothing` `storms_of_ends_lose_nothing` |

mod few_threads;
mod handles;
#[cfg(unix)]
mod process;
mod scale;
#[path = "../laws/support.rs"]
#[allow(dead_code)]
mod support;
mod wakeups;

use std::fs;
use std::path::Path;

const ROWS: usize = 40;
const ANCHORS: usize = 13;

/// All Rust text below a folder of the crate.
fn text_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            text += &text_of(&path);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text += &fs::read_to_string(&path).expect("it is text");
        }
    }
    text
}

/// The parts of a text between two marks.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

#[test]
fn every_fault_has_its_test_or_its_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = text_of(&root.join("src")) + &text_of(&root.join("tests"));
    let docs = fs::read_to_string(root.join("src/lib.rs")).expect("it is text");
    let docs = docs.lines().map(|line| line.trim_start_matches("//!").trim());
    let docs = docs.collect::<Vec<_>>().join(" ");
    let own = include_str!("main.rs");
    let cells = own.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows: Vec<Vec<_>> = cells.map(|row| row.split(" | ").collect()).collect();
    let rows: Vec<_> =
        rows.iter().filter(|row| row.len() == 3 && row[2].contains(['`', '"'])).collect();
    let numbers = rows.iter().filter_map(|row| row[0].parse().ok()).collect::<Vec<usize>>();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    assert_eq!(rows.len(), ROWS + ANCHORS);
    for row in rows {
        let (tests, quotes) = row[2].split_once('"').unwrap_or((row[2], ""));
        let quote = quotes.split('"').next().unwrap_or_default();
        let tests: Vec<_> = between(tests, '`').collect();
        assert!(!tests.is_empty() || !quote.is_empty(), "{row:?} has no answer");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "`{test}` of {row:?} is no test");
        }
        assert!(docs.contains(quote), "the docs do not say: {quote}");
    }
}
