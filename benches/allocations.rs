//! Run with `cargo bench --bench allocations`: counts the allocations of a request, with the layer and without.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

#[path = "../tests/allocations/measure.rs"]
mod measure;

fn main() {
    println!("allocations for one request on a connection of its own, the layer around the whole application");
    println!("(1,000 origins and 4 subprotocols; a route that needs the layer stands beside an unchecked 101)");
    println!("{:<40} {:>8} {:>8} {:>6}", "route", "without", "with", "more");
    for measure::Pair { without, with } in measure::pairs().into_iter().chain([measure::router_layer()]) {
        let (count, count_without) = (with.allocations(), without.allocations());
        let more = count.cast_signed() - count_without.cast_signed();
        println!("{:<40} {count_without:>8} {count:>8} {more:>+6}", with.name);
    }
}
