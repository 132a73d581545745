//! The table, and the bars.

use std::{fmt::Write, fs, path::Path};

use crate::{growth::Growth, measure::Measured, servers::MODES};

/// A number that has to be held.
pub struct Bar {
    pub name: String,
    pub found: f64,
    pub most: f64,
    /// What it is known to come to where it is missed, for it not to become worse; its reason is in DESIGN.md.
    known: Option<f64>,
}

impl Bar {
    pub fn held_within(&self, tolerance: f64) -> bool {
        // A count that is the same comes out within a thousandth.
        self.found <= self.most * tolerance + 0.005
    }

    /// Whether it is held, or missed by no more than is known.
    pub fn is_as_known(&self) -> bool {
        self.held_within(1.05) || self.known.is_some_and(|known| self.found <= known * 1.05)
    }

    fn line(&self) -> String {
        let Self { name, found, most, .. } = self;
        let verdict = if self.held_within(1.0) { "held" } else { "missed" };
        format!("{name}: {found:.3}, of {most:.3} at most: {verdict}")
    }
}

/// A ratio that may not be less is written as its inverse.
pub fn bars(measured: &Measured) -> Vec<Bar> {
    let axum = measured.row("axum");
    let mut bars = Vec::new();
    let mut bar = |name: &str, found: f64, most: f64| bars.push(Bar { name: name.into(), found, most, known: None });
    for name in ["stream", "accept", "callback", "raw"] {
        let title = MODES.iter().find(|mode| mode.name == name).map_or(name, |mode| mode.title);
        let found = measured.row(name).instructions / axum.instructions;
        bar(&format!("instructions of a handshake, {title}, beside axum"), found, 0.95);
    }
    let [without, with] = measured.page;
    bar("allocations that the layer adds to a page", with[1] - without[1], 0.0);
    if axum.rate > 0.0 {
        bar(
            "handshakes a second, axum beside ours (`WsStream`, tungstenite)",
            1.0 / measured.row("stream").rate_ratio,
            1.0 / 1.05,
        );
        bar(
            "resident memory of an idle connection, ours by tungstenite beside axum",
            measured.row("stream").idle / axum.idle,
            1.0 / 20.0,
        );
    }
    if let Some([ours, hyper]) = measured.idle_raw {
        bar("resident memory of an idle raw connection, ours beside a bare hyper upgrade", ours / hyper, 1.15);
    }
    if let Some([small, large]) = measured.stream {
        bar("bytes echoed, 64 at a time, a `TcpStream` beside `WsStream`", 1.0 / small, 1.0 / 0.95);
        bar("bytes echoed, 64 KiB at a time, a `TcpStream` beside `WsStream`", 1.0 / large, 1.0 / 0.95);
    }
    let name = "instructions that the layer adds to a page".into();
    bars.push(Bar { name, found: with[0] - without[0], most: 150.0, known: Some(240.0) });
    bars
}

/// What a bar leaves out: axum's default buffers are zeroed for each connection that is read, 250,000 instructions' worth.
fn cut(measured: &Measured) -> String {
    let ratio = measured.row("stream").instructions / measured.row("axum-cut").instructions;
    format!(
        "beside axum with its buffers cut to the same 4 KiB by hand, instructions of ours by tungstenite: {ratio:.2}"
    )
}

fn cells(measured: &Measured) -> Vec<[String; 9]> {
    let number = |number: f64, digits: usize| if number == 0.0 { String::new() } else { format!("{number:.digits$}") };
    MODES
        .iter()
        .zip(&measured.rows)
        .map(|(mode, row)| {
            [
                mode.title.to_owned(),
                number(row.rate, 0),
                number(row.rate_ratio, 2),
                number(row.instructions, 0),
                number(row.allocations, 1),
                number(row.idle / 1024.0, 2),
                number(row.echoes, 0),
                if row.p50 == 0.0 { String::new() } else { format!("{:.0}, {:.0}", row.p50, row.p99) },
                number(row.throughput, 0),
            ]
        })
        .collect()
}

const HEADS: [&str; 9] = [
    "server",
    "handshakes/s",
    "beside axum",
    "instructions",
    "allocations",
    "idle KiB",
    "echoes/s",
    "p50, p99 us",
    "MiB/s",
];

pub fn print(measured: &Measured) {
    let heads = HEADS.map(str::to_owned);
    for row in [heads].into_iter().chain(cells(measured)) {
        let [first, rest @ ..] = row;
        println!("{first:<42}{}", rest.map(|cell| format!("{cell:>14}")).concat());
    }
    println!();
    for bar in bars(measured) {
        println!("{}", bar.line());
    }
    println!("{}", cut(measured));
}

pub fn write(measured: &Measured, growth: &Growth) {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = String::from(
        "# Measured\n\n\
         `cargo run --release -p comparisons` writes this file and the picture: all servers in one run, \
         in turns within each round, medians over the rounds. Ours have 1,000 origins listed and 4 subprotocols; the others \
         check neither. The client is on the same two cores, and sends what Chromium does. *Beside axum* is the median of each round's ratio, and not the ratio of the \
         medians.\n\n![The picture](measured.svg)\n\n",
    );
    text += &row(&HEADS.map(str::to_owned));
    text += &row(&HEADS.map(|_| "---".to_owned()));
    for cells in cells(measured) {
        text += &row(&cells);
    }
    text += "\nInstructions are those of the server for a connection from its handshake to its end, counted by callgrind, and \
             allocations likewise. Memory is resident, for each of 1,000 connections after a message of two bytes. Echoes are of \
             64 bytes one at a time, MiB/s of 16 KiB one at a time.\n\n## The bars\n\n";
    for bar in bars(measured) {
        let _ = writeln!(text, "- {}", bar.line());
    }
    let _ = writeln!(text, "- No bar: {}", cut(measured));
    text += "\n## How it grows\n\n";
    let curve = |curve: &[(f64, f64)], by: f64, digits: usize| {
        curve.iter().map(|(count, cost)| format!("{count}: {:.digits$}", cost / by)).collect::<Vec<_>>().join("; ")
    };
    let _ = writeln!(text, "- Instructions of a handshake, by origins listed: {}.", curve(&growth.origins, 1.0, 0));
    let _ = writeln!(
        text,
        "- Instructions of a handshake, by subprotocols offered (more than 32 are refused): {}.",
        curve(&growth.subprotocols, 1.0, 0)
    );
    for (name, idle) in &growth.idle {
        let title = MODES.iter().find(|mode| mode.name == *name).map_or(*name, |mode| mode.title);
        let _ = writeln!(text, "- KiB of an idle connection, by their number, {title}: {}.", curve(idle, 1024.0, 2));
    }
    fs::write(docs().join("results/measured.md"), text).expect("written");
}

pub fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}
