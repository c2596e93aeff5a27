//! The laws of `punctual`, each a module of tests through the public API.
//!
//! No test sleeps to wait. Times in a test are its subject, or the alarm of [`support::PATIENCE`].

mod support;

mod law_01_one_outcome;
mod law_02_queued_means_never_ran;
mod law_03_ok_means_ran_once_to_the_end;
mod law_04_the_body_has_the_last_word;
mod law_05_punctual;
mod law_06_a_queued_job_needs_no_worker_to_end;
mod law_07_told_is_told;
mod law_08_cancel_says_what_it_hit;
mod law_09_no_stray_stops;
mod law_10_nothing_is_lost;
mod law_10_order;
mod law_11_bounds_hold;
mod law_11_lanes;
mod law_12_progress;
mod law_13_context_stays_home;
mod law_14_user_code_runs_under_no_lock_of_ours;
mod law_15_inheritance;
mod law_16_time_is_safe;
mod law_17_a_lost_handle_loses_no_failure;
