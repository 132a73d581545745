//! The cases of `tests/cases`, against the extractors that axum's users have: the table of `docs/results/cases.md`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../../tests/cases/servers.rs"]
mod ours;
#[path = "../../../tests/cases/runner/mod.rs"]
mod runner;
mod servers;

use std::{env, fmt::Write as _, fs};

use tokio::runtime::Runtime;

use runner::{
    format::{AllowOrigin, Subject},
    score::Score,
};
use servers::Server;

/// `WRITE_CASES=1 cargo test -p comparisons --test extractors` renews the table.
#[test]
fn the_table_of_the_guide_is_what_is_found() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/results/cases.md");
    let written = fs::read_to_string(guide).unwrap();
    let start = written.find("| Cases of |").expect("a table");
    let end = written[start..].find("\n\n").map_or(written.len(), |end| start + end + 1);
    let found = format!("{}{}{}", &written[..start], table(), &written[end..]);
    if env::var_os("WRITE_CASES").is_some() {
        fs::write(guide, found).unwrap();
    } else {
        assert_eq!(written, found, "docs/results/cases.md is out of date: WRITE_CASES=1 renews it");
    }
}

/// The score of each server in each subject: first those that can be asked of any server, then those that need a policy.
fn table() -> String {
    let servers: [(&str, Server); 4] = [
        ("ws-handshake", ours::ours),
        ("axum", servers::axum),
        ("fastwebsockets", servers::fastwebsockets),
        ("yawc", servers::yawc),
    ];
    let runtime = Runtime::new().unwrap();
    let titles = servers.map(|(title, _)| title).join(" | ");
    let mut table = format!("| Cases of | cases | {titles} |\n|{}\n", "---|".repeat(servers.len() + 2));
    let mut row = |name: &str, scores: &[Score]| {
        let cells: Vec<_> = scores.iter().map(Score::to_string).collect();
        writeln!(table, "| {name} | {} | {} |", scores[0].cases, cells.join(" | ")).unwrap();
    };
    let (rules, policies): (Vec<_>, _) = Subject::all()
        .unwrap()
        .into_iter()
        .partition(|subject| matches!(subject.policy.allow_origin, AllowOrigin::Any));
    for (title, subjects) in [("whatever the policy", rules), ("who may connect", policies)] {
        let mut sums = servers.map(|_| Score::default());
        for subject in subjects {
            let scores = servers.map(|(_, server)| {
                let address = ours::serve(&runtime, server(&subject.policy));
                subject.hold(address, |_, _| ()).unwrap()
            });
            row(&format!("[{0}](../../tests/cases/{0}.json): {1}", subject.name, subject.about), &scores);
            sums.iter_mut().zip(&scores).for_each(|(sum, score)| *sum += score);
        }
        row(&format!("**all: {title}**"), &sums);
    }
    table
}
