//! The bars: counted figures that may not become worse by more than 2 %.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    measure::{Measured, SETUPS},
    servers::{MODES, at},
};

/// Figures by their names, of which less is better.
pub type Figures = BTreeMap<String, f64>;

/// The servers of this crate, and those that do the same without it.
pub const PAIRS: [(&str, &str); 9] = [
    ("stream", "axum-checked"),
    ("accept", "axum-checked"),
    ("callback", "axum-checked"),
    ("behind", "axum-checked"),
    ("stream-fastwebsockets", "fastwebsockets-checked"),
    ("stream-yawc", "yawc-checked"),
    ("stream-yawc-small", "yawc-checked-small"),
    ("raw", "hyper"),
    ("tower", "hyper"),
];

pub fn figures(measured: &Measured) -> Figures {
    let mut figures = Figures::new();
    // Processors differ in how many instructions they take. So the bar is the ratio to a peer in the same run.
    for (ours, peer) in PAIRS {
        let ([name, peer_name], [ours, peer]) = ([ours, peer].map(title), [ours, peer].map(|name| measured.row(name)));
        figures.insert(format!("{name}: instructions / {peer_name}"), ours.instructions / peer.instructions);
        figures.insert(format!("{name}: allocations"), ours.allocations);
        figures.insert(format!("{name}: bytes of the heap, idle"), ours.heap);
    }
    for (setup, found) in SETUPS.iter().zip(&measured.setups).skip(1) {
        let (title, ours) = (setup.title, &found.ours);
        // Over TLS, cryptography would hide everything else.
        if setup.options != "+tls" {
            let peer = if setup.peer { &found.peer } else { &measured.setups[0].ours };
            let peer_name = if setup.peer { "the peer in it" } else { "ours without it" };
            figures.insert(format!("{title}: instructions / {peer_name}"), ours.instructions / peer.instructions);
        }
        figures.insert(format!("{title}: allocations"), ours.allocations);
        figures.insert(format!("{title}: bytes of the heap, idle"), ours.heap);
    }
    let [without, with, router] = measured.setups[0].page;
    figures.insert(format!("{PAGE}, as a tower layer"), with[0] - without[0]);
    figures.insert(format!("{PAGE}, with `Router::layer`"), router[0] - without[0]);
    figures.insert("a page: allocations more, as a tower layer".into(), with[1] - without[1]);
    figures.insert("a page: allocations more, with `Router::layer`".into(), router[1] - without[1]);
    figures.into_iter().map(|(name, value)| (name, (value * 1e4).round() / 1e4)).collect()
}

fn title(name: &str) -> &'static str {
    MODES[at(name)].title
}

/// The few instructions of a page differ by the seeds of hash maps.
const PAGE: &str = "a page: instructions more";
const PAGE_NOISE: f64 = 120.0;

/// The figures that are worse than their bars, one message for each.
pub fn worse(figures: &Figures) -> Vec<String> {
    let written = fs::read_to_string(path()).expect("written before");
    let written: Figures = serde_json::from_str(&written).expect("figures");
    let mut worse: Vec<_> = figures
        .iter()
        .filter_map(|(name, found)| match written.get(name) {
            Some(bar) if name.starts_with(PAGE) && *found <= bar + PAGE_NOISE => None,
            Some(bar) if *found <= bar * 1.02 + 0.001 => None,
            Some(bar) => Some(format!("{name}: {found}, and {bar} before")),
            None => Some(format!("{name}: has no bar")),
        })
        .collect();
    worse.extend(
        written.keys().filter(|name| !figures.contains_key(*name)).map(|name| format!("{name}: is not measured")),
    );
    worse
}

pub fn write(figures: &Figures) {
    let text = serde_json::to_string_pretty(figures).expect("figures") + "\n";
    fs::write(path(), text).expect("written");
}

fn path() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/bars.json").into()
}
