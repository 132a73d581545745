//! The report, and the chart of the README.

use std::{fmt::Write, fs, path::PathBuf};

use self::ColumnKind::{Counted, Rate, Ratio, Time};
use crate::{
    bars::PAIRS,
    chart::{Chart, Measure, grouped, svg},
    growth::{Curve, Growth},
    measure::{Measured, OURS, PEER, Row, SETUPS},
    servers::{Kind, MODES, Mode, at},
    targets::targets,
};

/// What a column shows.
struct Column {
    head: &'static str,
    value: fn(&Row) -> f64,
    digits: usize,
    kind: ColumnKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    /// Less is better, and two runs come out alike.
    Counted,
    /// Less is better, and runs differ.
    Time,
    /// More is better, and runs differ.
    Rate,
    /// Another column says the same.
    Ratio,
}

const fn column(head: &'static str, value: fn(&Row) -> f64, digits: usize, kind: ColumnKind) -> Column {
    Column { head, value, digits, kind }
}

const COLUMNS: [Column; 9] = [
    column("handshakes/s", |row| row.rate, 0, Rate),
    column("handshakes/s, as a ratio", |row| row.rate_ratio, 2, Ratio),
    column("CPU instructions", |row| row.instructions, 0, Counted),
    column("allocations", |row| row.allocations, 0, Counted),
    column("idle socket, KiB", |row| row.idle / 1024.0, 1, Counted),
    column("heap of an idle socket, KiB", |row| row.heap / 1024.0, 1, Counted),
    column("echoes/s", |row| row.echoes, 0, Rate),
    column("p99, µs", |row| row.p99, 0, Time),
    column("echoes of 16 KiB, MiB/s", |row| row.throughput, 0, Rate),
];

pub fn print(measured: &Measured) {
    for (mode, row) in MODES.iter().zip(&measured.rows) {
        println!("{:<56}{}", mode.title, COLUMNS.map(|column| format!("{:>10}", cell(&column, row))).concat());
    }
    for (setup, found) in SETUPS.iter().zip(&measured.setups) {
        let [without, with, router] = found.page;
        let (ours, peer) = (&found.ours, &found.peer);
        println!(
            "{:<64}ours {:>9.0} {:>6.1} {:>7.0}  peer {:>9.0} {:>6.1} {:>7.0}  page {:>7.0} + {:>4.0} or {:>5.0}",
            setup.title,
            ours.instructions,
            ours.allocations,
            ours.heap,
            peer.instructions,
            peer.allocations,
            peer.heap,
            without[0],
            with[0] - without[0],
            router[0] - without[0]
        );
    }
    for target in targets(measured) {
        println!("{}", target.line());
    }
}

fn cell(column: &Column, row: &Row) -> String {
    match (column.value)(row) {
        0.0 => String::new(),
        value => grouped(value, column.digits),
    }
}

/// The numbers of the last run.
const SAVED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/measured.json");

pub fn save(measured: &Measured, growth: &Growth) {
    fs::write(SAVED, serde_json::to_string(&(measured, growth)).expect("numbers") + "\n").expect("written");
}

pub fn saved() -> (Measured, Growth) {
    serde_json::from_str(&fs::read_to_string(SAVED).expect("written before")).expect("numbers")
}

pub fn write(measured: &Measured, growth: &Growth) {
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/results");
    fs::write(results.join("measured.md"), text(measured, growth)).expect("written");
    let all: Vec<_> = MODES.iter().filter(|mode| mode.kind != Kind::Raw).map(|mode| mode.name).collect();
    for (file, names) in [("measured.svg", &all[..]), ("chart.svg", &["axum", PEER, OURS, "behind"])] {
        fs::write(results.join(file), chart(measured, names)).expect("written");
    }
}

fn chart(measured: &Measured, names: &[&str]) -> String {
    let rows: Vec<_> = names.iter().map(|name| (&MODES[at(name)], measured.row(name))).collect();
    let measure = |title, value: fn(&Row) -> f64, digits| Measure {
        title,
        values: rows.iter().map(|(_, row)| value(row)).collect(),
        digits,
    };
    svg(&Chart {
        names: rows.iter().map(|(mode, _)| mode.title).collect(),
        ours: rows.iter().map(|(mode, _)| mode.is_ours()).collect(),
        measures: vec![
            measure("handshakes per second", |row| row.rate, 0),
            measure("CPU instructions", |row| row.instructions, 0),
            measure("KiB per idle socket", |row| row.idle / 1024.0, 1),
        ],
    })
}

fn text(measured: &Measured, growth: &Growth) -> String {
    let versions = versions();
    let mut text = format!(
        "# Measured\n\n\
         `cargo run --release -p comparisons` writes this report and both charts. All numbers come from one run, on an idle machine. \
         Rates and echoes are medians over 15 rounds, in which the servers take turns; memory is the median of three runs; counts are of \
         one run. Clients run on the same two cores and send what Chromium sends, so rates depend on the client and the kernel too. \
         {versions}\n\n\
         ![Handshakes per second, CPU instructions and memory of every server](measured.svg)\n\n\
         *Handshakes/s, as a ratio* is the median of each round's ratio to `axum, 4 KiB buffers`. *CPU instructions* and \
         *allocations* are those of the server for one connection, from its handshake to its end, in user space. *Idle socket* is the resident \
         memory of the server for each of 1,000 sockets, after one message. *Echoes/s* and *p99* are of messages of 64 bytes, *MiB/s* of messages of \
         16 KiB. The client sends one message, and waits for the echo. Every router is served with `into_make_service()`, as axum recommends.\n",
    );
    for (kind, title, about) in [
        (
            Kind::Checked,
            "Handshakes with checks, messages echoed",
            "Every server looks up `Origin` in a list of 1,000, compares it with `Host`, and selects one of 4 subprotocols. For the \
             peers, the handler makes these checks. It reads the headers without a copy, or through axum's `HeaderMap`, which copies all. \
             The layer also checks every rule of the RFC.",
        ),
        (
            Kind::Unchecked,
            "Handshakes without checks, messages echoed",
            "These servers check no page: neither `Origin` nor `Host`. They select no subprotocol.",
        ),
        (Kind::Raw, "Byte streams", "No framing. Only the servers of this crate check anything."),
    ] {
        let rows: Vec<_> = MODES.iter().zip(&measured.rows).filter(|(mode, _)| mode.kind == kind).collect();
        let _ = write!(text, "\n## {title}\n\n{about}\n\n{}", table(&rows));
    }
    text += &setups(measured);
    let targets = targets(measured);
    let met = targets.iter().filter(|target| target.is_met()).count();
    let _ = write!(text, "\n## The targets: {met} of {} met\n\nRatios within this run.\n\n", targets.len());
    for target in targets {
        let _ = writeln!(text, "- {}", target.line());
    }
    text += &growing(growth);
    text += &not_better(measured);
    text
}

/// The versions that were compared, as the workspace has locked them.
fn versions() -> String {
    let locked = include_str!("../../Cargo.lock");
    let of = |name: &str| {
        let versions = locked.split("[[package]]").filter_map(|package| {
            package.trim().strip_prefix(&format!("name = \"{name}\"\nversion = \""))?.split('"').next()
        });
        format!("{name} {}", versions.collect::<Vec<_>>().join(" and "))
    };
    let crates = ["axum", "hyper", "tokio", "tokio-tungstenite", "fastwebsockets", "yawc", "tokio-websockets"];
    format!("Versions: {}. Where there are two of a crate, axum has the older one.", crates.map(of).join(", "))
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn table(rows: &[(&Mode, &Row)]) -> String {
    let heads = ["server"].into_iter().chain(COLUMNS.map(|column| column.head));
    let mut table = line(heads.clone().map(str::to_owned)) + &line(heads.map(|_| "---".to_owned()));
    for (mode, row) in rows {
        let title = if mode.is_ours() { format!("**{}**", mode.title) } else { mode.title.to_owned() };
        table += &line([title].into_iter().chain(COLUMNS.map(|column| cell(&column, row))));
    }
    table
}

fn setups(measured: &Measured) -> String {
    let mut text = String::from(
        "\n## What users run\n\n\
         *Peer* is `axum, 4 KiB buffers, checks by hand`. *Ours* is `ws-handshake + tungstenite`. *Page* is a request without an upgrade: \
         its CPU instructions without the layer, and how many more with it: as a tower layer around the app, and with `Router::layer`, \
         which adds a cost for any layer. Over TLS and over HTTP/2, a difference of 300 is noise. Connections of TLS are full handshakes, \
         and most of their work is cryptography.\n\n",
    );
    let heads = [
        "set-up",
        "handshakes/s: peer",
        "ours",
        "instructions: peer",
        "ours",
        "idle KiB: peer",
        "ours",
        "page",
        "more, around the app",
        "more, with `Router::layer`",
    ];
    text += &line(heads.map(str::to_owned));
    text += &line(heads.map(|_| "---".to_owned()));
    for (setup, found) in SETUPS.iter().zip(&measured.setups) {
        let [without, with, router] = found.page;
        let both = |column: &Column| [cell(column, &found.peer), cell(column, &found.ours)];
        let [rate, _, instructions, _, idle, ..] = &COLUMNS;
        let cells = [rate, instructions, idle].into_iter().flat_map(both);
        let more = [with, router].map(|with| format!("{:.0}", with[0] - without[0]));
        let page = [grouped(without[0], 0)].into_iter().chain(more);
        text += &line([setup.title.to_owned()].into_iter().chain(cells).chain(page));
    }
    text
}

fn growing(growth: &Growth) -> String {
    let mut text = String::from("\n## How costs grow\n");
    let mut table = |what: &str, cost: &str, curves: &[(&str, &Curve, f64, usize)]| {
        let heads = [what.to_owned()].into_iter().chain(curves.iter().map(|(title, ..)| format!("{cost}{title}")));
        let heads: Vec<_> = heads.collect();
        text += "\n";
        text += &line(heads.iter().cloned());
        text += &line(heads.iter().map(|_| "---".to_owned()));
        for (place, (count, _)) in curves[0].1.iter().enumerate() {
            let costs = curves.iter().map(|(_, curve, by, digits)| grouped(curve[place].1 / by, *digits));
            text += &line([grouped(*count, 0)].into_iter().chain(costs));
        }
    };
    table("origins listed", "CPU instructions of a handshake", &[("", &growth.origins, 1.0, 0)]);
    let offers = "subprotocols offered (more than 32 are refused)";
    table(offers, "CPU instructions of a handshake", &[("", &growth.subprotocols, 1.0, 0)]);
    let idle: Vec<_> = growth.idle.iter().map(|(name, curve)| (MODES[at(name)].title, curve, 1024.0, 2)).collect();
    table("idle sockets", "KiB each: ", &idle);
    text
}

/// For each of ours, the peers of the same kind that are better by more than the noise.
fn not_better(measured: &Measured) -> String {
    let mut text = String::from(
        "\n## What is not better\n\nWhere a peer that does the same work has a better number than `ws-handshake` with the same library. Differences below 2% (counts and \
         memory) or 5% (times and rates) are left out: two runs of one server differ by as much.\n\n",
    );
    let before = text.len();
    let mut compare = |name: &str, ours: &Row, peer_name: &str, peer: &Row| {
        for column in &COLUMNS {
            let (found, theirs) = ((column.value)(ours), (column.value)(peer));
            let (worse, noise) = match column.kind {
                Counted => (found / theirs, 1.02),
                Time => (found / theirs, 1.05),
                Rate => (theirs / found, 1.05),
                Ratio => continue,
            };
            if worse > noise {
                let [found, theirs] = [found, theirs].map(|number| grouped(number, column.digits));
                let _ = writeln!(text, "- {}: {found} for `{name}`, {theirs} for `{peer_name}`.", column.head);
            }
        }
    };
    for (ours, peer) in PAIRS {
        let [name, peer_name] = [ours, peer].map(|name| MODES[at(name)].title.replace('`', ""));
        compare(&name, measured.row(ours), &peer_name, measured.row(peer));
    }
    for (setup, found) in SETUPS.iter().zip(&measured.setups).skip(1).filter(|(setup, _)| setup.peer) {
        let name = format!("{}, {}", MODES[at(OURS)].title, setup.title);
        compare(&name, &found.ours, MODES[at(PEER)].title, &found.peer);
    }
    if text.len() == before {
        text += "- nothing\n";
    }
    text + "\nServers without axum do less and are faster: see `tokio-websockets on TCP` and `httparse on TCP`. [DESIGN.md](../../DESIGN.md#what-costs-what) has \
            the profile of a handshake, and what was tried.\n"
}

#[cfg(test)]
mod tests {
    use crate::measure::InSetup;

    use super::*;

    #[test]
    fn every_server_and_every_setup_is_in_the_report() {
        let measured = Measured {
            rows: vec![Row { instructions: 1.0, rate: 1.0, idle: 1.0, ..Row::default() }; MODES.len()],
            setups: vec![InSetup::default(); SETUPS.len()],
            stream: Some([1.0, 1.0]),
        };
        let growth =
            Growth { origins: Curve::new(), subprotocols: Curve::new(), idle: vec![("raw".into(), Curve::new())] };
        let text = text(&measured, &growth);
        let titles = MODES.iter().map(|mode| mode.title).chain(SETUPS.iter().map(|setup| setup.title));
        for title in titles {
            assert!(text.contains(title), "{title}");
        }
        assert!(chart(&measured, &["axum", "stream"]).contains("ws-handshake + tungstenite"));
    }
}
