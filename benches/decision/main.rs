//! Run with `cargo bench --bench decision`: counts the instructions of the pure functions, with valgrind's callgrind.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "a ratio of counts is rounded anyway")]

#[path = "../shared/callgrind.rs"]
mod callgrind;
mod cases;

use std::hint::black_box;

use callgrind::{asked, instructions};

fn main() {
    if let Some((case, rounds)) = asked() {
        return run(&case, rounds);
    }
    let (unchecked, lean) = (instructions("unchecked"), instructions("lean"));
    let decision = instructions("decision");
    let (ten, million) = (instructions("origins 10"), instructions("origins 1000000"));
    println!("{:<64} {:>7} {:>6} {:>5}", "instructions", "count", "ratio", "bar");
    println!("{:<64} {unchecked:>7}", "an unchecked 101, as axum's extract::ws writes it");
    println!("{:<64} {lean:>7} {:>6.2}", "the same without the builder", lean as f64 / unchecked as f64);
    let row = |name, count: u64, against: u64, bar: f64| {
        let ratio = count as f64 / against as f64;
        println!("{name:<64} {count:>7} {ratio:>6.2} {bar:>5.2}");
        ratio <= bar * TOLERANCE
    };
    let name = "read, decide (1,000 origins, 4 subprotocols), write the head";
    let whole = row(name, decision, unchecked, 1.68);
    println!("{:<64} {ten:>7}", "look an origin up among 10");
    let growth = row("look an origin up among 1,000,000", million, ten, 1.0);
    if !(whole && growth) {
        println!("worse than a bar by more than 2 %");
        std::process::exit(1);
    }
}

/// Compilers differ by a few instructions.
const TOLERANCE: f64 = 1.02;

fn run(case: &str, rounds: u32) {
    let parts = cases::parts();
    if let Some(length) = case.strip_prefix("origins ") {
        let length: u32 = length.parse().unwrap();
        let list = cases::origins(length);
        let origin = "https://app5.example.com".parse().unwrap();
        for _ in 0..rounds {
            assert!(black_box(&list).contains(black_box(&origin)));
        }
    } else if case == "lean" {
        for _ in 0..rounds {
            black_box(cases::unchecked_lean(black_box(&parts)));
        }
    } else if case == "unchecked" {
        for _ in 0..rounds {
            black_box(cases::unchecked(black_box(&parts)));
        }
    } else {
        let policy = cases::policy();
        for _ in 0..rounds {
            let response = cases::decision(&policy, black_box(&parts));
            assert_eq!(black_box(response).status(), 101);
        }
    }
}
