//! What a job costs, beside the pools that users would pick instead: all workloads in one interleaved run.
//!
//! ```text
//! cargo bench --bench peers
//! cargo bench --bench peers -- --quick
//! cargo bench --bench peers -- --markdown
//! cargo bench --bench peers -- trip scaling
//! ```
//!
//! Contenders run in turn, A B C A B C …, and are compared within each round. Each workload checks that
//! the work was done. Nothing else should run on the machine: pools that wake a thread for each job cost
//! less where no other core is free to run it. `--quick` takes a minute, with less work and few rounds, and is not as exact; all of it
//! takes less than eight. Words choose workloads, by a part of their title. The table says beside each goal
//! whether it is met, and who is ahead; `--markdown` writes it to be pasted. `peers.svg` shows it.

mod baselines;
#[path = "../shared/callgrind.rs"]
mod callgrind;
mod contenders;
mod counts;
mod expiry;
mod floods;
mod heap;
mod held;
#[path = "../shared/jobs.rs"]
mod jobs;
mod measure;
mod overload;
mod plot;
mod scaling;
mod sleeps;
mod stops;
mod table;
mod trips;

use measure::Workload;
use std::time::Instant;
use table::Style;

fn main() {
    let begin = Instant::now();
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [option, name, jobs] = &args[..] {
        if option == counts::JOBS {
            return counts::run_jobs(name, jobs.parse().expect("a number"));
        }
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    // Without `--bench` this is a test of whether it runs at all.
    let in_earnest = has("--bench");
    let quick = has("--quick") || !in_earnest;
    let style = if has("--markdown") { Style::Markdown } else { Style::Text };
    let words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted =
        |title: &str| words.is_empty() || words.iter().any(|word| title.contains(&**word));

    style.print_head();
    let mut all = Vec::new();
    for workload in workloads(quick) {
        if is_wanted(&workload.title) {
            let seen = workload.measure();
            style.print(&seen);
            all.extend(seen);
        }
    }
    let curves = if is_wanted("scaling") { scaling::curves(quick) } else { Vec::new() };
    let flat = scaling::seen(&curves);
    style.print(&flat);
    if let Style::Text = style {
        scaling::print(&curves);
    }
    all.extend(flat);
    table::print_not_met(&all);
    if in_earnest {
        plot::draw("peers.svg".as_ref(), &all, &curves).expect("it can be written");
        println!("\nsee peers.svg; all took {:.0} s", begin.elapsed().as_secs_f64());
    }
}

fn workloads(quick: bool) -> Vec<Workload> {
    let groups = [
        trips::workloads,
        floods::workloads,
        expiry::workloads,
        stops::workloads,
        sleeps::workloads,
        overload::workloads,
        heap::workloads,
        counts::workloads,
    ];
    groups.iter().flat_map(|workloads| workloads(quick)).collect()
}
