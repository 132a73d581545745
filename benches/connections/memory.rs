//! What a permit weighs.

use super::support::{Server, open};

pub(super) async fn run(count: usize) {
    println!("resident memory of an idle connection, bytes ({count} of them)");
    let mut each = Vec::new();
    for (name, limit) in [("without connections", "none"), ("with connections", "1000000")] {
        let server = Server::start(limit);
        let warm = open(server.address(), "/straight", 100).await;
        let before = server.resident().await;
        let idle = open(server.address(), "/straight", count).await;
        let bytes = (server.resident().await - before) as f64 / count as f64;
        println!("{name:<20} {bytes:>6.0}");
        each.push(bytes);
        drop((warm, idle));
    }
    let more = each[1] - each[0];
    println!("{:<20} {more:>6.0}, of 200 at most", "more");
    assert!(more <= 200.0, "a permit weighs too much");
}
