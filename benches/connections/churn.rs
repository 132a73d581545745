//! Connections that open and close in every way.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::support::{Server, ask, open, status};

pub(super) async fn run(count: usize, time: Duration) {
    println!("{count} connections, and a limit of as many");
    let server = Server::start(&count.to_string());
    let before = server.memory().await;
    let streams = open(server.address(), "/straight", count).await;
    server.opened(count).await;
    let mut refused = ask(server.address(), "/straight").await;
    assert_eq!(status(&mut refused).await, 503, "one too many is let in");
    let full = server.memory().await;
    drop(streams);
    server.opened(0).await;
    let once = server.memory().await;

    println!(
        "churned for {time:?} by handlers that return and panic, and by clients that leave, vanish and never wait"
    );
    let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let end = Instant::now() + time;
    // More clients than the limit, so that some are refused if the machine can serve as many.
    let clients: Vec<_> =
        (0..count * 13 / 10).map(|n| tokio::spawn(client(server.address(), n, end, Arc::clone(&counts)))).collect();
    for client in clients {
        client.await.unwrap();
    }
    server.opened(0).await;
    let (_, most) = server.len().await;
    let after = server.memory().await;
    let [accepted, refused] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("accepted {accepted}, refused {refused}, most at once {most}, open in the end 0");
    for (at, name) in ["allocated", "resident"].into_iter().enumerate() {
        let [before, full, once, after] = [before, full, once, after].map(|both| mib(both[at]));
        println!(
            "{name}: {before:.1} MiB at first, {full:.1} with all, {once:.1} once they had gone, {after:.1} after the churn"
        );
    }
    println!();
    assert_eq!(most, count, "the limit was exceeded, or never reached");
    // Resident memory is not checked: the system's allocator keeps freed memory.
    assert!(mib(after[0]) < mib(before[0]) + 1.0, "memory is not back");
}

/// Connects and disconnects until the end.
async fn client(address: SocketAddr, number: usize, end: Instant, counts: Arc<[AtomicUsize; 2]>) {
    for turn in 0.. {
        let [first, second, way, ..] = RandomState::new().hash_one((number, turn)).to_ne_bytes();
        sleep(Duration::from_millis(u64::from(u16::from_ne_bytes([first, second])) / 40)).await;
        if Instant::now() > end {
            return;
        }
        let mut stream = ask(address, ["/straight", "/callback", "/never"][usize::from(way % 16 / 7)]).await;
        if way % 16 >= 14 {
            // This client does not wait for the answer.
            continue;
        }
        let accepted = status(&mut stream).await == 101;
        counts[usize::from(!accepted)].fetch_add(1, Ordering::Relaxed);
        if !accepted {
            continue;
        }
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        sleep(Duration::from_millis(u64::from(u16::from_ne_bytes([second, first])) / 5)).await;
        match way / 64 {
            0 => drop(stream.write_all(b"p").await),
            1 => drop(stream.write_all(b"r").await),
            2 => stream.set_zero_linger().unwrap(),
            _ => {}
        }
    }
}
