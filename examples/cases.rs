//! Run with `cargo run --example cases -- 127.0.0.1:8080`, with any server that has its WebSocket at `/ws`.
//!
//! Tests the server, in any language, with the cases of `tests/cases`, whose README describes them. Each file is for a server with the
//! policy that is printed before its score. Name the files that fit your server's policy: `cargo run --example cases -- 127.0.0.1:8080
//! tests/cases/key.json tests/cases/version.json`. The exit status is 1 if the server fails a case.

#[path = "../tests/cases/runner/mod.rs"]
mod runner;

use std::{error::Error, net::ToSocketAddrs, path::Path, process::ExitCode};

use runner::{format::Subject, score::Score};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("name the server: its host and port")?;
    let address = address.to_socket_addrs()?.next().ok_or("the server has no address")?;
    let files = args.map(|file| Subject::read(Path::new(&file))).collect::<Result<Vec<_>, _>>()?;
    let subjects = if files.is_empty() { Subject::all()? } else { files };

    let mut sum = Score::default();
    for subject in subjects {
        println!("{}: {}", subject.name, subject.about);
        println!("  the server's policy: {}", serde_json::to_string(&subject.policy)?);
        let score = subject.hold(address, |case, difference| {
            println!("  {}: {difference}. {} ({})", case.name, case.why, case.source);
        })?;
        println!("  {} cases, right in {score}", score.cases);
        sum += &score;
    }
    println!("all: {} cases, right in {sum}", sum.cases);
    Ok(if sum.right == sum.cases { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
