//! What the layer allocates. `cargo bench --bench allocations` prints the same counts.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod measure;

/// What is counted of a connection by the feature `metrics` takes two more.
const MOST: u64 = if cfg!(feature = "metrics") { 9 } else { 7 };

#[test]
fn a_page_allocates_nothing_more_and_a_handshake_a_few_times() {
    for measure::Pair { without, with } in measure::pairs() {
        let most = if with.name == "a page" { 0 } else { MOST };
        let (count, count_without) = (with.allocations(), without.allocations());
        assert!(count <= count_without + most, "{}: {count}, without the layer {count_without}", with.name);
    }
    // A page behind a layer of axum's own does allocate: the counter counts.
    let axum = measure::router_layer();
    assert!(axum.with.allocations() > axum.without.allocations());
}
