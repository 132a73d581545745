//! The picture for the README.

use plotters::{
    coord::Shift,
    prelude::{
        BLACK, ChartBuilder, DrawingArea, IntoDrawingArea, IntoLogRange, IntoSegmentedCoord, LineSeries, RGBColor,
        Rectangle, SVGBackend, SegmentValue, WHITE,
    },
};

use crate::{
    growth::{Curve, Growth},
    measure::{Measured, Row},
    report::docs,
    servers::MODES,
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const OTHERS: RGBColor = RGBColor(0xaa, 0xaa, 0xaa);
const THIRD: RGBColor = RGBColor(0xd6, 0x27, 0x28);

pub fn draw(measured: &Measured, growth: &Growth) {
    let path = docs().join("results/measured.svg");
    let root = SVGBackend::new(&path, (1000, 900)).into_drawing_area();
    root.fill(&WHITE).expect("drawn");
    let areas = root.split_evenly((3, 2));
    bars(&areas[0], "handshakes a second", measured, |row| row.rate);
    bars(&areas[1], "instructions of a handshake", measured, |row| row.instructions);
    bars(&areas[2], "KiB of an idle connection", measured, |row| row.idle / 1024.0);
    lines(
        &areas[3],
        "KiB of an idle connection, by their number",
        growth
            .idle
            .iter()
            .map(|(name, curve)| (*name, curve.iter().map(|(count, bytes)| (*count, bytes / 1024.0)).collect())),
    );
    lines(&areas[4], "instructions, by origins listed", [("ours", growth.origins.clone())]);
    lines(&areas[5], "instructions, by subprotocols offered (over 32: 400)", [("ours", growth.subprotocols.clone())]);
    root.present().expect("written");
}

fn bars(area: &Area<'_>, title: &str, measured: &Measured, number: fn(&Row) -> f64) {
    let most = measured.rows.iter().map(number).fold(0.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..most, (0..MODES.len() - 1).into_segmented())
        .expect("drawn");
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) => {
            MODES.get(MODES.len() - 1 - at).map_or(String::new(), |mode| mode.name.to_owned())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(MODES.len())
        .y_label_formatter(&name)
        .x_labels(5)
        .label_style(("sans-serif", 11))
        .draw()
        .expect("drawn");
    let bars = MODES.iter().zip(&measured.rows).enumerate().map(|(at, (mode, row))| {
        let at = MODES.len() - 1 - at;
        let color = if mode.title.starts_with("ours") { OURS } else { OTHERS };
        let corners = [(0.0, SegmentValue::Exact(at)), (number(row), SegmentValue::Exact(at + 1))];
        let mut bar = Rectangle::new(corners, plotters::style::Color::filled(&color));
        bar.set_margin(2, 2, 0, 0);
        bar
    });
    chart.draw_series(bars).expect("drawn");
}

fn lines<'a>(area: &Area<'_>, title: &str, curves: impl IntoIterator<Item = (&'a str, Curve)>) {
    let curves: Vec<_> = curves.into_iter().collect();
    let points = || curves.iter().flat_map(|(_, curve)| curve.iter());
    let last = points().map(|(count, _)| *count).fold(0.0, f64::max);
    let first = points().map(|(count, _)| *count).fold(last, f64::min);
    let most = points().map(|(_, cost)| *cost).fold(0.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last).log_scale(), 0.0..most)
        .expect("drawn");
    chart.configure_mesh().label_style(("sans-serif", 11)).x_labels(6).y_labels(5).draw().expect("drawn");
    for ((name, curve), color) in curves.into_iter().zip([OURS, THIRD, OTHERS]) {
        let drawn =
            chart.draw_series(LineSeries::new(curve, plotters::style::Color::stroke_width(&color, 2))).expect("drawn");
        drawn
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 8, y + 4)], plotters::style::Color::filled(&color)));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .label_font(("sans-serif", 11))
        .draw()
        .expect("drawn");
}
