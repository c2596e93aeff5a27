//! The plot: how many times as fast as tokio each contender is, in each workload; and what a job costs over
//! how many there are of something.

use crate::contenders::NAMES;
use crate::measure::{Goal, Seen, Shown};
use crate::scaling::Curve;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = anyhow::Result<()>;

/// As in the table; punctual and tokio as in the other plots.
const COLORS: [RGBColor; NAMES.len()] = [
    RGBColor(33, 102, 172),
    RGBColor(214, 96, 77),
    RGBColor(224, 150, 20),
    RGBColor(127, 59, 140),
    RGBColor(26, 152, 80),
    RGBColor(140, 86, 75),
    RGBColor(0, 160, 170),
    RGBColor(110, 110, 110),
    RGBColor(175, 175, 175),
];
const GRAY: RGBColor = RGBColor(90, 90, 90);
const LIGHT: RGBColor = RGBColor(225, 225, 225);
const WIDTH: u32 = 1100;
const HEAD: u32 = 84;
/// Of a line of the upper panel.
const LINE: u32 = 26;
/// What the upper panel has besides its lines.
const AXIS: u32 = 70;
const CURVES: u32 = 330;
/// Where the lines begin.
const NAMED: u32 = 380;

pub(crate) fn draw(path: &Path, all: &[Seen], curves: &[Curve]) -> Drawn {
    let ratios: Vec<_> = all.iter().filter(|seen| seen.line.shown == Shown::TimesTokio).collect();
    let upper = if ratios.is_empty() { 0 } else { AXIS + LINE * ratios.len() as u32 };
    let lower = if curves.is_empty() { 0 } else { CURVES };
    let area = SVGBackend::new(path, (WIDTH, HEAD + upper + lower)).into_drawing_area();
    area.fill(&WHITE)?;
    let (head, rest) = area.split_vertically(HEAD);
    draw_head(&head)?;
    let (ratio_area, curve_area) = rest.split_vertically(upper);
    if !ratios.is_empty() {
        draw_ratios(&ratio_area, &ratios)?;
    }
    let mut panels: Vec<_> = curves.iter().map(|curve| curve.over).collect();
    panels.dedup();
    for (area, over) in curve_area.split_evenly((1, panels.len().max(1))).iter().zip(&panels) {
        let curves: Vec<_> = curves.iter().filter(|curve| curve.over == *over).collect();
        draw_curves(area, over, &curves)?;
    }
    area.present()?;
    Ok(())
}

/// The title, and which colour is whose.
fn draw_head(area: &Area<'_>) -> Drawn {
    write(area, "What a job costs, beside other pools", (WIDTH as i32 / 2, 26), 20, HPos::Center)?;
    let step = (WIDTH as i32 - 60) / (NAMES.len() as i32 + 1);
    for (n, (name, color)) in NAMES.iter().zip(COLORS).enumerate() {
        let x = 40 + step * n as i32;
        area.draw(&Circle::new((x, 62), 5, color.filled()))?;
        write(area, name, (x + 10, 62), 14, HPos::Left)?;
    }
    let x = 40 + step * NAMES.len() as i32;
    area.draw(&PathElement::new([(x, 54), (x, 70)], BLACK.stroke_width(2)))?;
    write(area, "goal", (x + 10, 62), 14, HPos::Left)
}

/// A line for each workload, with a point for each contender.
fn draw_ratios(area: &Area<'_>, ratios: &[&Seen]) -> Drawn {
    let lines = ratios.len() as f64;
    let figures = || ratios.iter().flat_map(|seen| seen.figures.iter().flatten());
    let least = figures().map(|[_, median, _]| *median).fold(0.5, f64::min) * 0.8;
    let most = figures().map(|[_, median, _]| *median).fold(20.0, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(30)
        .margin_left(NAMED)
        .x_label_area_size(42)
        .build_cartesian_2d((least..most).log_scale(), 0.0..lines)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LIGHT)
        .axis_style(GRAY)
        .label_style(("sans-serif", 13))
        .x_labels(16)
        .x_label_formatter(&|times| short(*times))
        .x_desc("times as fast as tokio's spawn_blocking")
        .draw()?;
    chart.draw_series([PathElement::new([(1.0, 0.0), (1.0, lines)], GRAY)])?;
    for (n, seen) in ratios.iter().enumerate() {
        let y = lines - n as f64 - 0.5;
        chart.draw_series([PathElement::new([(least, y), (most, y)], LIGHT)])?;
        // The last first, so that punctual is on top.
        for of in (0..NAMES.len()).rev() {
            let radius = if of == 0 { 6 } else { 4 };
            let point = seen.median(of).map(|x| Circle::new((x, y), radius, COLORS[of].filled()));
            chart.draw_series(point)?;
        }
        if let Goal::AtLeast(goal) | Goal::Ahead(goal) = seen.line.goal {
            let tick = [(goal, y - 0.35), (goal, y + 0.35)];
            chart.draw_series([PathElement::new(tick, BLACK.stroke_width(2))])?;
        }
        let (_, line) = chart.plotting_area().map_coordinate(&(1.0, y));
        let (_, top) = area.get_base_pixel();
        let name = format!("{}: {}", seen.workload, seen.line.name);
        write(area, &name, (NAMED as i32 - 6, line - top), 14, HPos::Right)?;
    }
    Ok(())
}

/// What a job costs each contender, over how many there are of something.
fn draw_curves(area: &Area<'_>, over: &str, curves: &[&Curve]) -> Drawn {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let widest = points().map(|(at, _)| *at).fold(2.0, f64::max);
    let least = points().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    let most = points().map(|(_, cost)| *cost).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("over {over}"), ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(
            (0.8..widest * 1.3).log_scale(),
            (least / 2.0..most * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LIGHT)
        .axis_style(GRAY)
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|at| short(*at))
        .y_label_formatter(&|cost| short(*cost))
        .x_desc(over)
        .y_desc("ns a job")
        .draw()?;
    for curve in curves.iter().rev() {
        let color = NAMES.iter().position(|name| *name == curve.name).map_or(GRAY, |n| COLORS[n]);
        chart.draw_series(LineSeries::new(curve.points.clone(), color.stroke_width(2)))?;
        let points = curve.points.iter().map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(points)?;
    }
    Ok(())
}

/// 1000000 as 1M. Nothing for what begins with a 3, say: on a logarithmic axis there is no room for all.
fn short(number: f64) -> String {
    let first = number / 10_f64.powf(number.log10().floor());
    if ![1.0, 2.0, 5.0].iter().any(|shown| (first - shown).abs() < 0.01) {
        return String::new();
    }
    match number {
        ..1.0 => format!("{number:.1}"),
        1e6.. => format!("{:.0}M", number / 1e6),
        1e3.. => format!("{:.0}k", number / 1e3),
        _ => format!("{number:.0}"),
    }
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, align: HPos) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font());
    area.draw_text(text, &style.pos(Pos::new(align, VPos::Center)), at)?;
    Ok(())
}
