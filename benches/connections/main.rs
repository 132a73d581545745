//! Run with `cargo bench --bench connections`: limits while clients come and go, a drain, peers that vanish, and the memory of a permit.
//! The benchmark fails if one of these is not as it should be.
//!
//! The server is a separate process. `-- --seconds N` sets how long clients come and go (default: 60). `-- --connections N` sets how many
//! connections there are (default: 10,000). Each connection takes a file in both processes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "ratios of counts are rounded anyway")]

mod churn;
mod drain;
mod memory;
mod server;
mod silence;
mod support;

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    if let Some(connections) = after("--serve") {
        return server::run(connections).await;
    }
    let number = |name: &str, default| after(name).map_or(default, |number| number.parse().expect(name));
    let connections = number("--connections", 10_000);
    let seconds = std::time::Duration::from_secs(number("--seconds", 60) as u64);
    churn::run(connections, seconds).await;
    drain::run(connections / 2).await;
    silence::run(connections / 5).await;
    memory::run(connections).await;
}
