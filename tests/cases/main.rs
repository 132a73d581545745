//! The cases of this directory, against a server over real sockets. `comparisons/tests/extractors` has other servers.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod runner;
mod servers;

use std::{collections::HashSet, fmt::Write as _};

use tokio::runtime::Runtime;

use runner::{
    format::{Case, Subject},
    judge::Difference,
};

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
