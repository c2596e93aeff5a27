//! The plot: what was done in time, and what was wasted, over the load; a panel for each workload.

use crate::Row;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const POOLS: [(&str, &str, RGBColor); 3] = [
    ("tokio", "tokio, spawn_blocking in a timeout", RGBColor(214, 96, 77)),
    ("fifo", "punctual, Order::Fifo", RGBColor(224, 150, 20)),
    ("default", "punctual, by default", RGBColor(33, 102, 172)),
];
const GRAY: RGBColor = RGBColor(90, 90, 90);
const PANEL: (u32, u32) = (420, 340);
const TITLE: u32 = 44;
const LEGEND: u32 = 64;

pub(crate) fn draw(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut workloads: Vec<_> = rows.iter().map(|row| row.workload).collect();
    workloads.dedup();
    let size = (PANEL.0 * workloads.len() as u32, TITLE + PANEL.1 + LEGEND);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let (title, rest) = area.split_vertically(TITLE);
    let (panels, legend) = rest.split_vertically(PANEL.1);
    write(&title, "More work than can be done: what becomes of it", (size.0 as i32 / 2, 28), 20)?;
    for (panel, workload) in panels.split_evenly((1, workloads.len())).iter().zip(workloads) {
        let rows: Vec<_> = rows.iter().filter(|row| row.workload == workload).collect();
        draw_panel(panel, workload, &rows)?;
    }
    draw_legend(&legend, size.0 as i32)?;
    area.present()?;
    Ok(())
}

fn draw_panel(panel: &Area<'_>, workload: &str, rows: &[&Row]) -> anyhow::Result<()> {
    let loads = || rows.iter().map(|row| row.load);
    let (least, most) = (loads().min().unwrap_or(0), loads().max().unwrap_or(100));
    let top = rows.iter().map(|row| row.seen.goodput).fold(105.0, f64::max); // if it has become faster
    let mut chart = ChartBuilder::on(panel)
        .caption(workload, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(least as f64 - 5.0..most as f64 + 5.0, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(GRAY)
        .label_style(("sans-serif", 13))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|load| format!("{load:.0}"))
        .y_label_formatter(&|share| format!("{share:.0}"))
        .x_desc("offered load, % of the capacity")
        .y_desc("% of the capacity")
        .draw()?;
    let full = PathElement::new([(100.0, 0.0), (100.0, top)], RGBColor(190, 190, 190));
    chart.draw_series([full])?;
    for (pool, _, color) in POOLS {
        let of_pool = || rows.iter().filter(move |row| row.pool == pool);
        let good = || of_pool().map(|row| (f64::from(row.load), row.seen.goodput));
        let waste = of_pool().map(|row| (f64::from(row.load), row.seen.wasted));
        chart.draw_series(DashedLineSeries::new(waste, 5, 4, color.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(good(), color.stroke_width(3)))?;
        chart.draw_series(good().map(|point| Circle::new(point, 4, color.filled())))?;
    }
    Ok(())
}

/// One for all panels: colours are pools, and the kinds of lines what became of the work.
fn draw_legend(area: &Area<'_>, width: i32) -> anyhow::Result<()> {
    let mut x = width / 2 - 380;
    for (_, name, color) in POOLS {
        area.draw(&Rectangle::new([(x, 9), (x + 22, 19)], color.filled()))?;
        write_from(area, name, (x + 30, 14))?;
        x += 280;
    }
    let x = width / 2 - 380;
    let solid = PathElement::new([(x, 42), (x + 22, 42)], GRAY.stroke_width(3));
    area.draw(&solid)?;
    area.draw(&Circle::new((x + 11, 42), 4, GRAY.filled()))?;
    write_from(area, "done in time (goodput)", (x + 30, 42))?;
    let x = x + 280;
    for dash in 0..3 {
        let from = x + 8 * dash;
        area.draw(&PathElement::new([(from, 42), (from + 5, 42)], GRAY.stroke_width(2)))?;
    }
    write_from(area, "done too late, for nobody (wasted)", (x + 30, 42))
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32) -> anyhow::Result<()> {
    let style = TextStyle::from(("sans-serif", size).into_font());
    area.draw_text(text, &style.pos(Pos::new(HPos::Center, VPos::Center)), at)?;
    Ok(())
}

fn write_from(area: &Area<'_>, text: &str, at: (i32, i32)) -> anyhow::Result<()> {
    let style = TextStyle::from(("sans-serif", 14).into_font());
    area.draw_text(text, &style.pos(Pos::new(HPos::Left, VPos::Center)), at)?;
    Ok(())
}
