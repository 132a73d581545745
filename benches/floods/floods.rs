//! The floods: each ends by itself, and says what it came to.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use h2::{Reason, ext::Protocol};
use hyper::{Method, Request, body::Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::support::{ask, connect, status};

pub(super) type Flood = fn(SocketAddr) -> Pin<Box<dyn Future<Output = String>>>;

pub(super) const ALL: [(&str, Flood); 5] = [
    ("heads that never end", |address| Box::pin(slow_heads(address))),
    ("handshakes refused", |address| Box::pin(refused(address))),
    ("an accepted handshake that an outer layer answers otherwise", |address| Box::pin(replaced(address))),
    ("handlers that never accept, and clients that hyper does not see leave", |address| Box::pin(never(address))),
    ("streams of HTTP/2 opened and reset", |address| Box::pin(resets(address))),
];

/// How long the server waits for a head, and for a 101 to be written.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How many sockets and waiting handshakes the server has at most.
pub(super) const LIMIT: usize = 1000;
/// How many clients there are in a flood of connections that last.
const CLIENTS: usize = 2000;
const BATCH: usize = 200;

/// A byte every 100 ms, from the first one on.
async fn slow_heads(address: SocketAddr) -> String {
    let drip = async || {
        let mut stream = connect(address).await;
        let start = Instant::now();
        for byte in b"GET /echo HTTP/1.1\r\nHost: example.com\r\nX: ".iter().chain([b'x'; 100].iter()) {
            let mut answer = [0; 512];
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            match timeout(Duration::from_millis(100), stream.read(&mut answer)).await {
                Err(_) => {}
                Ok(_) => break,
            }
        }
        start.elapsed()
    };
    let longest = join_all((0..CLIENTS).map(|_| drip())).await.into_iter().max().unwrap();
    format!("{CLIENTS} clients, a byte every 100 ms; the last was ended after {:.1} s", longest.as_secs_f64())
}

/// Pages of a foreign origin.
async fn refused(address: SocketAddr) -> String {
    const COUNT: usize = 10_000;
    let start = Instant::now();
    for _ in 0..COUNT / BATCH {
        let batch = (0..BATCH).map(|_| async move {
            let mut stream = connect(address).await;
            let request = "GET /echo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                           Origin: https://evil.example\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            assert_eq!(status(&mut stream).await, 403);
        });
        join_all(batch).await;
    }
    format!("{COUNT} of a foreign origin, {:.0} a second", COUNT as f64 / start.elapsed().as_secs_f64())
}

/// The handler waits for a 101 that is never sent, until the hand-off times out.
async fn replaced(address: SocketAddr) -> String {
    let streams = held(address, "/replaced", LIMIT / 2).await;
    let start = Instant::now();
    join_all(streams.into_iter().map(async |mut stream: TcpStream| {
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    }))
    .await;
    format!("{} clients that were told 200; let go after {:.1} s", LIMIT / 2, start.elapsed().as_secs_f64())
}

/// Each sends a byte behind its handshake, and then a reset, which hyper does not notice. So they hold their places until the answer is
/// late, and without that time there would soon be no place for others.
async fn never(address: SocketAddr) -> String {
    const BATCHES: usize = 8;
    for _ in 0..BATCHES {
        for mut stream in held(address, "/never", LIMIT / 4).await {
            stream.write_all(b"x").await.unwrap();
            stream.set_zero_linger().unwrap();
        }
        sleep(Duration::from_secs(1)).await;
    }
    format!("{BATCHES} times {} handshakes with a byte behind them, and a reset", LIMIT / 4)
}

async fn held(address: SocketAddr, path: &'static str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    while streams.len() < count {
        streams.extend(join_all((0..BATCH.min(count - streams.len())).map(|_| ask(address, path))).await);
    }
    streams
}

/// As fast as it can, for 4 s; a connection that the server ends is followed by another.
async fn resets(address: SocketAddr) -> String {
    static STREAMS: AtomicUsize = AtomicUsize::new(0);
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let end = Instant::now() + Duration::from_secs(4);
    let attack = async || {
        while Instant::now() < end {
            CONNECTIONS.fetch_add(1, Ordering::Relaxed);
            let _ = reset(connect(address).await, end, &STREAMS).await;
        }
    };
    join_all((0..4).map(|_| attack())).await;
    let [streams, connections] = [&STREAMS, &CONNECTIONS].map(|count| count.load(Ordering::Relaxed));
    format!("{streams} streams on {connections} connections in 4 s, the server ending them")
}

async fn reset(stream: TcpStream, end: Instant, streams: &AtomicUsize) -> Result<(), h2::Error> {
    let (mut requests, connection) = h2::client::Builder::new().handshake::<_, Bytes>(stream).await?;
    let connection = tokio::spawn(connection);
    while Instant::now() < end {
        requests = requests.ready().await?;
        if !requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
            continue;
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = "https://example.com/echo".parse().unwrap();
        request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let (_, mut stream) = requests.send_request(request, false)?;
        stream.send_reset(Reason::CANCEL);
        if streams.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) {
            tokio::task::yield_now().await;
        }
    }
    connection.abort();
    Ok(())
}
