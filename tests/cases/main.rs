//! The cases of this directory, against servers over real sockets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod runner;
mod servers;

use std::{collections::HashSet, env, fmt::Write as _, fs};

use tokio::runtime::Runtime;

use runner::{
    format::{AllowOrigin, Case, Subject},
    judge::Difference,
    score::Score,
};
use servers::Server;

#[test]
fn ours_is_right_in_each_case() {
    let runtime = Runtime::new().unwrap();
    let mut wrong = String::new();
    for subject in Subject::all().unwrap() {
        let address = servers::serve(&runtime, servers::ours(&subject.policy));
        let differs = |case: &Case, difference: &Difference| {
            writeln!(wrong, "{}: {}: {difference}. {} ({})", subject.name, case.name, case.why, case.source).unwrap();
        };
        subject.hold(address, differs).unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_case_has_a_name_of_its_own_a_reason_and_a_source() {
    let subjects = Subject::all().unwrap();
    let cases: Vec<_> = subjects.iter().flat_map(|subject| &subject.cases).collect();
    let mut names = HashSet::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases are named `{}`", case.name);
        assert!(case.why.ends_with('.'), "{}: its reason is no sentence", case.name);
        let sources = ["RFC ", "CVE-", "RUSTSEC-", "https://"];
        assert!(sources.iter().any(|source| case.source.starts_with(source)), "{}: {}", case.name, case.source);
    }
    assert!(cases.len() >= 300, "{} cases", cases.len());
}

/// `WRITE_CASES=1 cargo test --test cases` renews the table.
#[test]
fn the_table_of_the_guide_is_what_is_found() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results/cases.md");
    let written = fs::read_to_string(guide).unwrap();
    let start = written.find("| Cases of |").expect("a table");
    let end = written[start..].find("\n\n").map_or(written.len(), |end| start + end + 1);
    let found = format!("{}{}{}", &written[..start], table(), &written[end..]);
    if env::var_os("WRITE_CASES").is_some() {
        fs::write(guide, found).unwrap();
    } else {
        assert_eq!(written, found, "docs/results/cases.md is not what is found; WRITE_CASES=1 renews it");
    }
}

/// The score of each server in each subject: first those that can be asked of any server, then those that need a policy.
fn table() -> String {
    let servers: [(&str, Server); 4] = [
        ("ws-handshake", servers::ours),
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
                let address = servers::serve(&runtime, server(&subject.policy));
                subject.hold(address, |_, _| ()).unwrap()
            });
            row(&format!("[{0}](../../tests/cases/{0}.json): {1}", subject.name, subject.about), &scores);
            sums.iter_mut().zip(&scores).for_each(|(sum, score)| *sum += score);
        }
        row(&format!("**all: {title}**"), &sums);
    }
    table
}
