//! The floods. Each one reports its result.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use h2::{Reason, client::SendRequest, ext::Protocol};
use hyper::{Method, Request, body::Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::support::{ask, ask_with, connect, status};

pub(super) struct Flood {
    pub(super) name: &'static str,
    /// The path that other clients request meanwhile.
    pub(super) visited: &'static str,
    /// How many more bytes than before the server may have allocated at any time.
    pub(super) most_heap: u64,
    pub(super) run: Run,
}

type Run = fn(SocketAddr) -> Pin<Box<dyn Future<Output = String>>>;

pub(super) const ALL: [Flood; 7] = [
    Flood::new("heads that never end", |address| Box::pin(slow_heads(address))),
    Flood::new("handshakes refused", |address| Box::pin(refused(address))),
    Flood::rated("handshakes of one key, at a limited rate", |address| Box::pin(one_key(address))),
    Flood::rated("handshakes of a million keys, at a limited rate", |address| Box::pin(many_keys(address))),
    Flood::new("an accepted handshake that an outer layer answers otherwise", |address| Box::pin(replaced(address))),
    Flood::new("handlers that never accept, and clients that hyper does not see leave", |address| {
        Box::pin(never(address))
    }),
    Flood::new("streams of HTTP/2 opened and reset", |address| Box::pin(resets(address))),
];

impl Flood {
    const fn new(name: &'static str, run: Run) -> Self {
        Self { name, visited: "/echo", most_heap: 100 << 20, run }
    }

    /// Uses a route with `rate_per`.
    const fn rated(name: &'static str, run: Run) -> Self {
        Self { name, visited: "/rated", most_heap: 12 << 20, run }
    }
}

/// How long the server waits for a head, and for hyper to write a 101.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// The server's limit of sockets and waiting handshakes.
pub(super) const LIMIT: usize = 1000;
/// How many handshakes one key may try in that time.
pub(super) const RATE: u32 = 10;
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(5);
/// The number of clients in a flood of lasting connections.
const CLIENTS: usize = 2000;
const BATCH: usize = 200;
/// The number of handshakes in a flood of handshakes.
const TRIES: usize = 10_000;

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

/// Handshakes of pages of a foreign origin.
async fn refused(address: SocketAddr) -> String {
    let (statuses, rate) = tried(address, "/echo", "Origin: https://evil.example\r\n").await;
    assert_eq!(statuses, HashMap::from([(403, TRIES)]));
    format!("{TRIES} of a foreign origin, {rate:.0} a second")
}

/// All handshakes have the same key: the address that the proxy in front has seen.
async fn one_key(address: SocketAddr) -> String {
    let (statuses, rate) = tried(address, "/rated", "X-Forwarded-For: 192.0.2.1\r\n").await;
    let [opened, late] = [101, 429].map(|status| statuses.get(&status).copied().unwrap_or_default());
    assert!(opened + late == TRIES && late > TRIES / 2, "{statuses:?}");
    format!("{TRIES} of one address, {rate:.0} a second; {opened} opened, and the others were answered 429")
}

/// Tries one handshake after the other, each on its own connection. Returns how often each status came, and how many handshakes there were
/// in a second.
async fn tried(address: SocketAddr, path: &str, header: &str) -> (HashMap<u16, usize>, f64) {
    let start = Instant::now();
    let mut statuses = HashMap::new();
    for _ in 0..TRIES / BATCH {
        let batch = (0..BATCH).map(|_| async move { status(&mut ask_with(address, path, header).await).await });
        for status in join_all(batch).await {
            *statuses.entry(status).or_default() += 1;
        }
    }
    (statuses, TRIES as f64 / start.elapsed().as_secs_f64())
}

/// Over HTTP/2, one connection can try for many keys. The foreign origin keeps the streams from opening, and the rate is checked first.
async fn many_keys(address: SocketAddr) -> String {
    const KEYS: u32 = 1_000_000;
    const CONNECTIONS: u32 = 4;
    const STREAMS: u32 = 50;
    let start = Instant::now();
    let flood = async |connection: u32| {
        let (requests, driver) = h2::client::handshake(connect(address).await).await.unwrap();
        let driver = tokio::spawn(driver);
        let tries = async |first: u32| {
            let mut requests = requests.clone();
            for key in (first..KEYS).step_by((CONNECTIONS * STREAMS) as usize) {
                let mut request = extended_connect("https://example.com/rated");
                let [.., b, c, d] = key.to_be_bytes();
                request.headers_mut().insert("x-forwarded-for", format!("10.{b}.{c}.{d}").parse().unwrap());
                request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
                requests = requests.ready().await.unwrap();
                let (answer, _) = requests.send_request(request, true).unwrap();
                let mut answer = answer.await.unwrap();
                assert_eq!(answer.status(), 403);
                // A stream that is dropped before its end counts against the connection.
                while answer.body_mut().data().await.is_some() {}
            }
        };
        settled(&requests).await;
        join_all((0..STREAMS).map(|stream| tries(connection * STREAMS + stream))).await;
        driver.abort();
    };
    join_all((0..CONNECTIONS).map(flood)).await;
    format!("{KEYS} of as many addresses, {:.0} a second", f64::from(KEYS) / start.elapsed().as_secs_f64())
}

/// The handler waits for a 101 that is never sent, until `handoff_timeout`.
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

/// Each client sends a byte after its handshake, and then a reset, which hyper does not notice. So these clients hold their places until
/// `answer_timeout`. Without this timeout, there would soon be no place for others.
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

/// As fast as possible, for 4 s. If the server ends a connection, the flood opens another.
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
    let (mut requests, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    settled(&requests).await;
    while Instant::now() < end {
        requests = requests.ready().await?;
        let (_, mut stream) = requests.send_request(extended_connect("https://example.com/echo"), false)?;
        stream.send_reset(Reason::CANCEL);
        if streams.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) {
            tokio::task::yield_now().await;
        }
    }
    connection.abort();
    Ok(())
}

/// Waits until the server has announced WebSockets.
async fn settled(requests: &SendRequest<Bytes>) {
    while !requests.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
}

fn extended_connect(uri: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri.parse().unwrap();
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request
}
