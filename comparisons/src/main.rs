//! Run with `cargo run --release -p comparisons`, on an idle machine with valgrind. It takes some twenty minutes, and writes
//! `docs/results/measured.md`, its two charts, and the numbers in `comparisons/measured.json`.
//!
//! `-- --counts` runs only what needs no clock, and fails if a counted figure is worse than its bar by more than 2 %. `-- --bars`
//! makes bars of the numbers, `comparisons/bars.json`, and `-- --report` writes the report of the numbers again.

mod bars;
mod chart;
mod client;
mod growth;
mod measure;
mod report;
mod servers;
mod targets;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::{io::AsyncReadExt, net::TcpListener, runtime::Builder};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve", name, threads] => serve(name, threads),
        ["--counts"] => {
            let counts = measure::counts();
            report::print(&counts);
            let worse = bars::worse(&bars::figures(&counts));
            for figure in &worse {
                println!("worse by more than 2 %: {figure}");
            }
            std::process::exit(i32::from(!worse.is_empty()));
        }
        ["--bars"] => bars::write(&bars::figures(&report::saved().0)),
        [] => {
            let measured = measure::all();
            report::print(&measured);
            let growth = growth::measure();
            report::save(&measured, &growth);
            report::write(&measured, &growth);
        }
        ["--report"] => {
            let (measured, growth) = report::saved();
            report::print(&measured);
            report::write(&measured, &growth);
        }
        _ => {
            eprintln!("usage: comparisons [--counts | --bars | --report]");
            std::process::exit(2);
        }
    }
}

/// Serves under a name until it is told to end, on a second port.
fn serve(name: &str, threads: &str) {
    let mut builder = if threads == "1" { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads != "1" {
        builder.worker_threads(2);
    }
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let control = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{} {}", listener.local_addr().expect("bound"), control.local_addr().expect("bound"));
        tokio::spawn(async move {
            loop {
                let (mut told, _) = control.accept().await.expect("a connection");
                match told.read_u8().await {
                    Ok(b'a') => println!("{}", HEAP.stats().allocations),
                    Ok(b'h') => println!("{}", HEAP.stats().bytes_allocated - HEAP.stats().bytes_deallocated),
                    _ => std::process::exit(0),
                }
            }
        });
        servers::run(name, listener).await;
    });
}
