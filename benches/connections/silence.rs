//! Peers that vanish without closing, next to peers that stay.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep},
};

use super::support::{Server, discard, open};

pub(super) const IDLE: Duration = Duration::from_secs(10);
pub(super) const PING: Duration = Duration::from_secs(4);
pub(super) const PING_FRAME: [u8; 2] = [0x89, 0];
const PONG_FRAME: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// The longest time between two sweeps. `Connections::idle_timeout` documents how late a timeout may be.
const SWEEP: Duration = Duration::from_millis(500);

/// Half of the peers vanish behind a proxy that keeps their connections open but stops passing bytes on. The other half stay.
pub(super) async fn run(count: usize) {
    println!("{count} peers that vanish behind a proxy without a FIN, and {count} that stay; idle timeout {IDLE:?}");
    let server = Server::start("lifetimes");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let (vanish, vanished) = watch::channel(false);
    tokio::spawn(forward_all(listener, server.address(), vanished));
    let vanishing = open(proxy, "/pings", count).await;
    let staying = open(server.address(), "/pings", count).await;
    let answering =
        |peers: Vec<TcpStream>| peers.into_iter().map(|peer| tokio::spawn(answer(peer))).collect::<Vec<_>>();
    let (_vanishing, staying) = (answering(vanishing), answering(staying));
    sleep(IDLE + PING).await;
    assert_eq!(server.len().await.0, 2 * count, "all answer, and all are there");

    vanish.send_replace(true);
    let start = Instant::now();
    let mut first = None;
    let last = loop {
        let open = server.len().await.0;
        let after = start.elapsed();
        if open < 2 * count {
            first.get_or_insert(after);
        }
        if open == count {
            break after;
        }
        assert!(after < 2 * IDLE, "{open} are open after {after:?}");
        sleep(Duration::from_millis(20)).await;
    };
    let first = first.expect("one is the first");
    println!("the first was gone after {:.2} s, the last after {:.2} s", first.as_secs_f64(), last.as_secs_f64());
    // The last pongs came at any time in the interval between the previous two pings.
    assert!(first + PING >= IDLE && last <= IDLE + SWEEP);
    sleep(2 * IDLE).await;
    let ended = staying.iter().filter(|peer| peer.is_finished()).count();
    println!("{ended} of the others were ended in {:?}\n", 2 * IDLE);
    assert_eq!((server.len().await.0, ended), (count, 0), "those that answer stay");
}

/// Answers pings until the connection ends.
async fn answer(mut peer: TcpStream) {
    let mut ping = [0; PING_FRAME.len()];
    while peer.read_exact(&mut ping).await.is_ok() {
        assert_eq!(ping, PING_FRAME);
        if peer.write_all(&PONG_FRAME).await.is_err() {
            return;
        }
    }
}

async fn forward_all(listener: TcpListener, server: SocketAddr, vanished: watch::Receiver<bool>) {
    while let Ok((peer, _)) = listener.accept().await {
        tokio::spawn(forward(peer, server, vanished.clone()));
    }
}

/// Reads everything until the end, and passes nothing on after the peer has vanished, not even the end.
async fn forward(mut peer: TcpStream, server: SocketAddr, mut vanished: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut peer, &mut server) => return,
        _ = vanished.wait_for(|vanished| *vanished) => {}
    }
    tokio::join!(discard(&mut peer), discard(&mut server));
}
