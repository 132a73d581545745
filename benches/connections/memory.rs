//! The memory of a permit.

use super::support::{Server, open};

pub(super) async fn run(count: usize) {
    println!("memory of an idle connection, bytes ({count} of them): allocated, and resident");
    let mut each = Vec::new();
    for (name, connections) in
        [("without connections", "none"), ("with connections", "1000000"), ("with lifetimes", "lifetimes")]
    {
        let server = Server::start(connections);
        let warm = open(server.address(), "/straight", 100).await;
        let before = server.memory().await;
        let idle = open(server.address(), "/straight", count).await;
        let after = server.memory().await;
        let [allocated, resident] = [0, 1].map(|at| (after[at] as f64 - before[at] as f64) / count as f64);
        println!("{name:<20} {allocated:>6.0} {resident:>6.0}");
        each.push([allocated, resident]);
        drop((warm, idle));
    }
    for (with, name) in [(1, "connections add"), (2, "lifetimes add")] {
        let [allocated, resident] = [0, 1].map(|at| each[with][at] - each[with - 1][at]);
        println!("{name:<20} {allocated:>6.0} {resident:>6.0}");
    }
    // Resident memory is not compared, because it depends on the pages that the allocator has touched.
    let permit = each[2][0] - each[0][0];
    assert!(permit <= PERMIT * 1.02, "a permit takes {permit:.0} bytes, more than {PERMIT} by more than 2 %");
}

/// The bytes of a permit, with its entry in the registry.
const PERMIT: f64 = 157.0;
