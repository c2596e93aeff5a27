//! The table: a line for each figure of a workload, and whether it is what was aimed at.

use crate::contenders::NAMES;
use crate::measure::{Goal, Seen, Shown};

pub(crate) fn print_head() {
    println!(
        "× tokio: how many times as fast as `spawn_blocking`, medians of the ratios within a round"
    );
    println!(
        "(and, for punctual, their quartiles); else as the unit says. – : it can not do that.\n"
    );
    let names = NAMES.map(|name| format!("{name:>11}")).concat();
    println!("{:44} {names}", "");
}

pub(crate) fn print(seen: &[Seen]) {
    if let Some(first) = seen.first() {
        println!("{}", first.workload);
    }
    for line in seen {
        let texts: Vec<_> = (0..NAMES.len()).map(|n| text(line, line.median(n))).collect();
        let figures: String = texts.iter().map(|text| format!("{text:>11}")).collect();
        let name = format!("{}{}", line.line.name, unit(line));
        println!("  {name:30} {:>11} {figures}   {}", goal(line.line.goal), verdict(line));
    }
}

/// All lines in which punctual is not where it is to be.
pub(crate) fn print_not_met(all: &[Seen]) {
    let not_met: Vec<_> = all.iter().filter(|seen| seen.is_met() == Some(false)).collect();
    let asked = all.iter().filter(|seen| seen.is_met().is_some()).count();
    println!("\n{} of {asked} goals are met; not:", asked - not_met.len());
    for seen in not_met {
        let own = text(seen, seen.median(0));
        println!("  {}: {} {own}, not {}", seen.workload, seen.line.name, goal(seen.line.goal));
    }
}

fn verdict(seen: &Seen) -> String {
    let met = match seen.is_met() {
        Some(true) => "ok",
        Some(false) => "NOT",
        None => "",
    };
    let spread = match (seen.line.shown, seen.figures[0]) {
        (Shown::TimesTokio, Some([low, _, high])) => format!(" ({low:.2}–{high:.2})"),
        _ => String::new(),
    };
    let ahead = seen.ahead().collect::<Vec<_>>().join(", ");
    let ahead = if ahead.is_empty() { ahead } else { format!("; ahead: {ahead}") };
    format!("{met}{spread}{ahead}")
}

fn unit(seen: &Seen) -> String {
    match seen.line.shown {
        Shown::TimesTokio => format!(", × tokio's {:.0} ns", seen.tokio),
        Shown::In("", _) => String::new(),
        Shown::In(unit, _) => format!(", {unit}"),
    }
}

fn goal(goal: Goal) -> String {
    match goal {
        Goal::None => String::new(),
        Goal::AtLeast(least) | Goal::Ahead(least) => format!("≥ {least}"),
        Goal::AtMost(most) => format!("≤ {most}"),
        Goal::AsTokio => "≤ tokio".to_owned(),
    }
}

fn text(seen: &Seen, figure: Option<f64>) -> String {
    let decimals = match seen.line.shown {
        Shown::TimesTokio => 2,
        Shown::In(_, decimals) => decimals,
    };
    figure.map_or("–".to_owned(), |figure| format!("{figure:.decimals$}"))
}
