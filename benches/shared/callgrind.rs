//! Counts instructions with valgrind's callgrind.

use std::{env, process::Command, thread};

/// If this process was started to be counted: its case and its number of rounds.
pub(crate) fn asked() -> Option<(String, u32)> {
    let arguments: Vec<_> = env::args().collect();
    let [_, case, rounds] = &arguments[..] else { return None };
    Some((case.clone(), rounds.parse().ok()?))
}

/// The instructions of one round of a case. Runs the case twice: the difference comes only from the additional rounds.
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
    // Unlike times, counts can be taken in parallel.
    thread::scope(|scope| {
        let few = scope.spawn(|| count("100"));
        (count("1100") - few.join().expect("a count")) / 1000
    })
}
