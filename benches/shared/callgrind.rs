//! Counts instructions with valgrind's callgrind.

use std::{env, process::Command, thread};

/// The case and the number of rounds that this process is to run, if it is one of those that are counted.
pub(crate) fn asked() -> Option<(String, u32)> {
    let arguments: Vec<_> = env::args().collect();
    let [_, case, rounds] = &arguments[..] else { return None };
    Some((case.clone(), rounds.parse().ok()?))
}

/// The instructions of one round of a case. It runs twice, so that the difference is that of the additional rounds alone.
pub(crate) fn instructions(case: &str) -> u64 {
    let count = |rounds: &str| -> u64 {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().unwrap())
            .args([case, rounds])
            .output()
            .expect("valgrind counts the instructions: install it first");
        let text = String::from_utf8_lossy(&output.stderr);
        let collected = text.split("Collected : ").nth(1).unwrap_or_else(|| panic!("{text}"));
        collected.split_whitespace().next().unwrap().parse().unwrap()
    };
    // Counts, unlike times, may be taken at once.
    thread::scope(|scope| {
        let few = scope.spawn(|| count("100"));
        (count("1100") - few.join().expect("a count")) / 1000
    })
}
