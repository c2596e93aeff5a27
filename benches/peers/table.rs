//! The table: a line for each figure of a workload, its goal beside it, and whether that is met.

use crate::contenders::NAMES;
use crate::measure::{Goal, Seen, Shown};

/// How it is written.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// For a wide terminal.
    Text,
    /// To be pasted, where the title of a workload stands before each of its lines.
    Markdown,
}

/// What the figures are.
const LEGEND: &str = "\
× tokio: how many times as fast as `spawn_blocking`, medians of the ratios within a round (and, for
punctual, their quartiles); else as the unit says, medians. – : it can not do that, or was not counted.
simple: a queue under a lock. hand-off: closures without results. Neither is a pool to use, nor a peer.
1st: no peer is ahead (by more than 2 %).
";

impl Style {
    pub(crate) fn print_head(self) {
        println!("{LEGEND}");
        match self {
            Self::Text => {
                let names = NAMES.map(|name| format!("{name:>11}")).concat();
                println!("{:46} {:>9}{names}", "", "goal");
            }
            Self::Markdown => {
                println!("| | goal | {} | |", NAMES.join(" | "));
                println!("|---|--:|{}---|", "--:|".repeat(NAMES.len()));
            }
        }
    }

    pub(crate) fn print(self, seen: &[Seen]) {
        if let (Self::Text, Some(first)) = (self, seen.first()) {
            println!("{} (rounds: {})", first.workload, first.rounds);
        }
        for line in seen {
            self.print_line(line);
        }
    }

    fn print_line(self, seen: &Seen) {
        let name = format!("{}{}", seen.line.name, unit(seen));
        let goal = goal(seen.line.goal);
        let verdict = self.verdict(seen);
        let figures = (0..NAMES.len()).map(|n| text(seen, seen.median(n)));
        match self {
            Self::Text => {
                let figures: String = figures.map(|text| format!("{text:>11}")).collect();
                println!("  {name:44} {goal:>9}{figures}   {verdict}");
            }
            Self::Markdown => {
                let figures = figures.collect::<Vec<_>>().join(" | ");
                println!("| {}: {name} | {goal} | {figures} | {verdict} |", seen.workload);
            }
        }
    }

    fn verdict(self, seen: &Seen) -> String {
        let met = match (seen.is_met(), self) {
            (Some(true), _) => "met",
            (Some(false), Self::Text) => "NOT met",
            (Some(false), Self::Markdown) => "**not met**",
            (None, _) => "",
        };
        let spread = match (seen.line.shown, seen.figures[0]) {
            (Shown::TimesTokio, Some([low, _, high])) => format!(" ({low:.2}–{high:.2})"),
            _ => String::new(),
        };
        let ahead = seen.ahead().map(|name| format!("; {name} is ahead")).collect::<String>();
        let verdict = format!("{met}{spread}{ahead}");
        verdict.trim_start_matches([' ', ';']).to_owned()
    }
}

/// All lines in which punctual is not where it is to be.
pub(crate) fn print_not_met(all: &[Seen]) {
    let not_met: Vec<_> = all.iter().filter(|seen| seen.is_met() == Some(false)).collect();
    let asked = all.iter().filter(|seen| seen.is_met().is_some()).count();
    println!("\n{} of {asked} goals are met; not:\n", asked - not_met.len());
    for seen in not_met {
        let Seen { workload, line, .. } = seen;
        let (own, goal) = (text(seen, seen.median(0)), goal(line.goal));
        let ahead = seen.ahead().collect::<Vec<_>>().join(", ");
        let ahead = if ahead.is_empty() { ahead } else { format!(" (ahead: {ahead})") };
        println!("- {workload}: {} {own}, not {goal}{ahead}", line.name);
    }
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
        Goal::AtLeast(least) => format!("≥ {least}"),
        Goal::Ahead(least) => format!("≥ {least}, 1st"),
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
