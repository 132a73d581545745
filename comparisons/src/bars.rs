//! The bars: counted figures that may not become worse by more than 2 %.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    measure::{Measured, Row, SETUPS},
    servers::{MODES, REFERENCE},
};

/// Figures by their names, of which less is better.
pub type Figures = BTreeMap<String, f64>;

pub fn figures(measured: &Measured) -> Figures {
    let mut figures = Figures::new();
    // Processors differ in how many instructions they take. So instructions are those beside a peer's, in the same run.
    let mut add = |name: &str, ours: &Row, peer: &Row| {
        figures.insert(format!("{name}: instructions / peer's"), ours.instructions / peer.instructions);
        figures.insert(format!("{name}: allocations"), ours.allocations);
        figures.insert(format!("{name}: bytes of the heap, idle"), ours.heap);
    };
    for (mode, row) in MODES.iter().zip(&measured.rows).filter(|(mode, _)| mode.is_ours()) {
        add(mode.title, row, measured.row(REFERENCE));
    }
    for (setup, found) in SETUPS.iter().zip(&measured.setups).skip(1) {
        let peer = if setup.peer { &found.peer } else { measured.row(REFERENCE) };
        add(&format!("in the set-up {}", setup.title), &found.ours, peer);
    }
    let [without, with] = measured.setups[0].page;
    figures.insert("a page: instructions / without the layer".into(), with[0] / without[0]);
    figures.into_iter().map(|(name, value)| (name, (value * 1e4).round() / 1e4)).collect()
}

/// What has become worse than what is written, in words.
pub fn worse(figures: &Figures) -> Vec<String> {
    let written = fs::read_to_string(path()).expect("written before");
    let written: Figures = serde_json::from_str(&written).expect("figures");
    let mut worse: Vec<_> = figures
        .iter()
        .filter_map(|(name, found)| match written.get(name) {
            Some(bar) if *found <= bar * 1.02 => None,
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
