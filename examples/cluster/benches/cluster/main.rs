//! Run with `bash ci/cluster.sh`, which installs what it needs. Three nodes of the example `cluster` run behind `HAProxy`, with a Redis,
//! and 2,000 clients talk. The benchmark restarts the nodes one after the other, and then Redis. Then a third node joins two others. The
//! benchmark fails if an acknowledged message does not reach every client, once and in order, or if clients come back all at once. With
//! `--write` it writes docs/results/cluster.md.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "ratios of counts are rounded anyway")]

mod client;
mod programs;
mod rebalance;
mod report;
mod world;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use self::{client::Client, programs::Programs, report::Phase, world::World};

const CLIENTS: usize = 2000;

/// Each speaker says something every ten seconds: two messages a second, or 4,000 deliveries.
const SPEAKERS: usize = 20;
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let began = Instant::now();
    let mut programs = Programs::start().await;
    let world = Arc::new(World::new(programs.public()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client::new(number, Arc::clone(&world));
            tokio::spawn(async move {
                sleep(Duration::from_millis(2 * number as u64)).await;
                client.run().await
            })
        })
        .collect();
    world.until("all are there", || world.open() == CLIENTS).await;
    world.speak(true);
    sleep(Duration::from_secs(2)).await;

    let mut phases = Vec::new();
    for (node, name) in ["a", "b", "c"].into_iter().enumerate() {
        let phase = Phase::begin(format!("node {name}"), &world);
        let exited = programs.nodes[node].stop().await;
        assert!(exited.success(), "node {name} did not exit by itself: {exited}");
        programs.nodes[node].start().await;
        // HAProxy checks twice before it sends clients there.
        sleep(Duration::from_secs(3)).await;
        world.until("all are back", || world.open() == CLIENTS).await;
        phases.push(phase.end(&world));
    }
    let phase = Phase::begin("Redis".into(), &world);
    let exited = programs.redis.stop().await;
    assert!(exited.success(), "Redis: {exited}");
    sleep(Duration::from_secs(2)).await;
    programs.redis.start().await;
    world.until("all are back after Redis", || world.open() == CLIENTS).await;
    sleep(Duration::from_secs(2)).await;
    let redis = phase.end(&world);
    let rebalanced = rebalance::run(&mut programs, &world).await;

    world.speak(false);
    world.until("all is acknowledged", || world.unsaid() == 0).await;
    let acknowledged = world.acknowledged();
    world.until("all is heard", || world.heard() == acknowledged.len() * CLIENTS).await;
    world.leave();
    let mut heard = Vec::new();
    for client in clients {
        heard.push(client.await.unwrap());
    }
    report::judge(&acknowledged, &heard);
    for node in &mut programs.nodes {
        assert!(node.stop().await.success());
    }
    programs.haproxy.stop().await;
    programs.redis.stop().await;

    let report = report::write(&phases, &redis, &rebalanced, acknowledged.len(), &world);
    println!("{report}\n{:.0} s", began.elapsed().as_secs_f64());
    report::hold(&phases, &rebalanced);
    if std::env::args().any(|argument| argument == "--write") {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results/cluster.md");
        std::fs::write(document, report).unwrap();
    }
}
