//! The plot: how long lookups take, second by second, and what becomes of the reports beside them.

use super::Seen;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const COLORS: [RGBColor; 2] = [RGBColor(33, 102, 172), RGBColor(214, 96, 77)];
const GRAY: RGBColor = RGBColor(90, 90, 90);
const SIZE: (u32, u32) = (960, 420);
const TITLE: u32 = 64;
const LEFT: u32 = 600;
/// What became of a report: answered, shed, late, anything else.
const FATES: [(&str, RGBColor); 4] = [
    ("answered", RGBColor(120, 170, 90)),
    ("503 at once", RGBColor(200, 205, 215)),
    ("504 at the deadline", RGBColor(235, 190, 110)),
    ("no answer", RGBColor(120, 60, 60)),
];

pub(crate) fn draw(path: &Path, all: &[Seen], rate: f64) -> anyhow::Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (title, panels) = area.split_vertically(TITLE);
    let middle = SIZE.0 as i32 / 2;
    write(&title, "A service at twice what it can do", (middle, 22), 20, HPos::Center)?;
    let what = format!(
        "{rate:.0} reports and scans a second, which need the machine twice over, and 300 lookups"
    );
    write(&title, &what, (middle, 46), 14, HPos::Center)?;
    let (left, right) = panels.split_horizontally(LEFT);
    draw_lookups(&left, all)?;
    draw_fates(&right, all)?;
    area.present()?;
    Ok(())
}

/// The p99 of each second, on a logarithmic scale; dashed, that of the idle service.
fn draw_lookups(area: &Area<'_>, all: &[Seen]) -> anyhow::Result<()> {
    let seconds = all.iter().map(|seen| seen.loaded.by_second.len()).max().unwrap_or(1) as f64;
    let ms = |micros: u64| (micros.max(1) as f64) / 1e3;
    let p99 = |seen: &Seen| -> Vec<_> {
        let seconds = seen.loaded.by_second.iter().enumerate().filter(|(_, of)| !of.is_empty());
        seconds.map(|(n, of)| (n as f64 + 0.5, ms(of.value_at_quantile(0.99)))).collect()
    };
    let most = all.iter().flat_map(p99).map(|(_, ms)| ms).fold(10.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("lookups: p99 of each second", ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..seconds, (0.1..most * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(GRAY)
        .label_style(("sans-serif", 13))
        .x_labels(7)
        .x_label_formatter(&|second| {
            if seconds < 10.0 { format!("{second:.1}") } else { format!("{second:.0}") }
        })
        .y_label_formatter(&|ms| {
            if *ms < 1.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
        })
        .x_desc("seconds")
        .draw()?;
    for (seen, color) in all.iter().zip(COLORS) {
        let idle = ms(seen.idle.lookups.value_at_quantile(0.99));
        let line = [(0.0, idle), (seconds, idle)].into_iter();
        chart.draw_series(DashedLineSeries::new(line, 5, 4, color.stroke_width(1)))?;
        let line = LineSeries::new(p99(seen), color.stroke_width(3));
        let name =
            if seen.name == "tokio" { "tokio, spawn_blocking in a timeout" } else { "punctual" };
        let key = move |(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], color.filled());
        chart.draw_series(line)?.label(name).legend(key);
    }
    let dashes = |(x, y)| PathElement::new([(x, y), (x + 6, y)], GRAY);
    let nothing = std::iter::empty::<Circle<(f64, f64), i32>>();
    chart.draw_series(nothing)?.label("thin, dashed: while it is idle").legend(dashes);
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// A bar for each server, from the bottom up in the order of the list.
fn draw_fates(area: &Area<'_>, all: &[Seen]) -> anyhow::Result<()> {
    let middle = (SIZE.0 - LEFT) as i32 / 2;
    write(area, "what became of the reports", (middle, 22), 16, HPos::Center)?;
    let (top, bottom, width) = (48, 236, 84);
    for (n, seen) in all.iter().enumerate() {
        let fates = &seen.loaded.slow;
        let counts = [fates.answered, fates.shed, fates.late, fates.other];
        let sum = counts.iter().sum::<u64>().max(1) as f64;
        let (x, mut y) = (middle - 117 + 150 * n as i32, f64::from(bottom));
        for (count, (_, color)) in counts.iter().zip(FATES) {
            let share = *count as f64 / sum;
            let height = share * f64::from(bottom - top);
            let corners = [(x, (y - height) as i32), (x + width, y as i32)];
            area.draw(&Rectangle::new(corners, color.filled()))?;
            if height > 14.0 {
                let at = (x + width / 2, (y - height / 2.0) as i32);
                write(area, &format!("{:.0} %", share * 100.0), at, 13, HPos::Center)?;
            }
            y -= height;
        }
        write(area, seen.name, (x + width / 2, bottom + 14), 14, HPos::Center)?;
    }
    for (n, (name, color)) in FATES.iter().enumerate() {
        let (x, y) = (40 + 160 * (n as i32 % 2), 280 + 22 * (n as i32 / 2));
        area.draw(&Rectangle::new([(x, y - 5), (x + 16, y + 5)], color.filled()))?;
        write(area, name, (x + 24, y), 13, HPos::Left)?;
    }
    Ok(())
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, from: HPos) -> anyhow::Result<()> {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&RGBColor(40, 40, 40));
    area.draw_text(text, &style.pos(Pos::new(from, VPos::Center)), at)?;
    Ok(())
}
