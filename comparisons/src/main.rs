//! Run with `cargo run --release -p comparisons`, on a machine with valgrind that has nothing else
//! to do. It takes some fifteen minutes, prints a table of all servers and the bars that ws-handshake has to hold, and writes
//! both to `docs/results/measured.md`, with a picture in `docs/results/measured.svg`.
//!
//! `-- --counts` runs only what needs no clock, and fails where a bar is missed by more than 5 %.

mod client;
mod growth;
mod measure;
mod picture;
mod report;
mod servers;

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
            if !report::bars(&counts).iter().all(report::Bar::is_as_known) {
                println!("a bar is missed by more than 5 %");
                std::process::exit(1);
            }
        }
        [] => {
            let measured = measure::all();
            report::print(&measured);
            let growth = growth::measure();
            report::write(&measured, &growth);
            picture::draw(&measured, &growth);
        }
        _ => {
            eprintln!("usage: comparisons [--counts]");
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
                    _ => std::process::exit(0),
                }
            }
        });
        servers::run(name, listener).await;
    });
}
