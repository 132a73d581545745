//! A third node joins two others, and gets its share when connections reach their age limit.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    CLIENTS,
    programs::{Program, Programs},
    report::{Phase, Phased},
    world::World,
};

pub(super) const MAX_AGE: Duration = Duration::from_secs(20);

/// The number of clients that the third node should get: 30 %.
const SHARE: usize = CLIENTS * 3 / 10;

pub(super) struct Rebalanced {
    /// The time until the third node had these clients.
    pub(super) took: Duration,
    /// The number of clients of each node when the third one joined, and at the end.
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
    pub(super) phase: Phased,
}

pub(super) async fn run(programs: &mut Programs, world: &World) -> Rebalanced {
    for exited in join_all(programs.nodes.iter_mut().map(Program::stop)).await {
        assert!(exited.success(), "a node did not exit by itself: {exited}");
    }
    for node in &mut programs.nodes {
        node.add_option("--max-age", MAX_AGE.as_secs());
    }
    for node in &mut programs.nodes[..2] {
        node.start().await;
    }
    world.until("all are back on two nodes", || world.open() == CLIENTS).await;

    let phase = Phase::begin("a third node joins".into(), world);
    programs.nodes[2].start().await;
    let start = Instant::now();
    let before = spread(programs).await;
    let after = loop {
        let clients = spread(programs).await;
        if clients[2] >= SHARE {
            break clients;
        }
        assert!(start.elapsed() < 2 * MAX_AGE, "the third node has its share too late: {clients:?}");
        sleep(Duration::from_millis(100)).await;
    };
    let took = start.elapsed();
    // Connections on their way have arrived by then.
    sleep(Duration::from_secs(2)).await;
    Rebalanced { took, before, after, phase: phase.end(world) }
}

/// The number of clients of each node.
async fn spread(programs: &Programs) -> Vec<usize> {
    join_all(programs.nodes.iter().map(Program::clients)).await
}
