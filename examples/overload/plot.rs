//! The plot: goodput and waste over load, a panel for each workload.

use crate::Row;
use plotters::prelude::*;
use std::path::Path;

const COLORS: [RGBColor; 3] =
    [RGBColor(214, 96, 77), RGBColor(230, 160, 40), RGBColor(33, 102, 172)];

pub(crate) fn draw(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut workloads: Vec<_> = rows.iter().map(|row| row.workload).collect();
    workloads.dedup();
    let area = SVGBackend::new(path, (440 * workloads.len() as u32, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, workload) in area.split_evenly((1, workloads.len())).iter().zip(workloads) {
        let rows: Vec<_> = rows.iter().filter(|row| row.workload == workload).collect();
        let most = rows.iter().map(|row| row.load).max().unwrap_or(100);
        let mut chart = ChartBuilder::on(panel)
            .caption(workload, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0..most + 10, 0.0..110.0)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .label_style(("sans-serif", 14))
            .x_desc("offered load, % of capacity")
            .y_desc("of capacity, %")
            .draw()?;
        for (pool, color) in ["tokio", "fifo", "default"].into_iter().zip(COLORS) {
            let of_pool = || rows.iter().filter(move |row| row.pool == pool);
            let good = of_pool().map(|row| (row.load, row.seen.goodput));
            let waste = of_pool().map(|row| (row.load, row.seen.wasted));
            chart
                .draw_series(LineSeries::new(good, color.stroke_width(3)).point_size(4))?
                .label(format!("{pool}: in time"))
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3))
                });
            chart
                .draw_series(DashedLineSeries::new(waste, 5, 4, color.stroke_width(2)))?
                .label(format!("{pool}: wasted"))
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 8, y)], color.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 13))
            .draw()?;
    }
    area.present()?;
    Ok(())
}
