//! What a permit weighs.

use super::support::{Server, open};

pub(super) async fn run(count: usize) {
    println!("memory of an idle connection, bytes ({count} of them): allocated, and resident");
    let mut each = Vec::new();
    for (name, limit) in [("without connections", "none"), ("with connections", "1000000")] {
        let server = Server::start(limit);
        let warm = open(server.address(), "/straight", 100).await;
        let before = server.memory().await;
        let idle = open(server.address(), "/straight", count).await;
        let after = server.memory().await;
        let [allocated, resident] = [0, 1].map(|at| (after[at] as f64 - before[at] as f64) / count as f64);
        println!("{name:<20} {allocated:>6.0} {resident:>6.0}");
        each.push([allocated, resident]);
        drop((warm, idle));
    }
    let [allocated, resident] = [0, 1].map(|at| each[1][at] - each[0][at]);
    println!("{:<20} {allocated:>6.0} {resident:>6.0}, of 200 at most", "more");
    // What is resident is a matter of the pages that the allocator has happened to touch.
    assert!(allocated <= 200.0, "a permit weighs too much");
}
