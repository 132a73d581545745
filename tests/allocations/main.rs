//! What the layer allocates. `cargo bench --bench allocations` prints the same counts.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod measure;

#[test]
fn a_page_allocates_nothing_more_and_a_handshake_at_most_seven_times() {
    for measure::Pair { without, with } in measure::pairs() {
        let most = if with.name == "a page" { 0 } else { 7 };
        let (count, count_without) = (with.allocations(), without.allocations());
        assert!(count <= count_without + most, "{}: {count}, without the layer {count_without}", with.name);
    }
    // A page behind a layer of axum's own does allocate: the counter counts.
    let axum = measure::router_layer();
    assert!(axum.with.allocations() > axum.without.allocations());
}
