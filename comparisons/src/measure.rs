//! What is measured of each server. What needs a clock is measured in rounds, in each of which all servers have their turn.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};

use crate::{
    client::{Client, Server, Socket, offering},
    servers::{Kind, MODES, REFERENCE, at},
};

/// What was found of one server.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Row {
    /// Of a connection from its handshake to its end.
    pub instructions: f64,
    pub allocations: f64,
    /// Bytes of the heap for a connection that is idle.
    pub heap: f64,
    /// Handshakes a second, and the ratio to the reference in the same rounds.
    pub rate: f64,
    pub rate_ratio: f64,
    /// Bytes that are resident for a connection that is idle.
    pub idle: f64,
    /// Echoes of 64 bytes one at a time: a second, and how long the slowest of a hundred takes, in microseconds.
    pub echoes: f64,
    pub p99: f64,
    /// Of 16 KiB one at a time, in MiB a second.
    pub throughput: f64,
}

/// What is around a server: the options of its name, and how a reader calls them.
pub struct Setup {
    pub options: &'static str,
    pub title: &'static str,
    /// Whether the peer is measured in it too.
    pub peer: bool,
}

const fn setup(options: &'static str, title: &'static str, peer: bool) -> Setup {
    Setup { options, title, peer }
}

pub const SETUPS: [Setup; 9] = [
    setup("", "HTTP/1.1", true),
    setup("+http2", "HTTP/2, 100 sockets a connection", true),
    setup("+tls", "HTTP/1.1 over TLS", true),
    setup("+tls+http2", "HTTP/2 over TLS, 100 sockets a connection", true),
    setup("+tracing", "`tracing` at `info`", false),
    setup("+metrics", "`metrics`, for Prometheus", false),
    setup("+tracing+metrics", "`tracing` and `metrics`", false),
    setup("+connections", "`Connections` with two limits for each client, and lifetimes", false),
    setup("+everything", "`tracing`, `metrics` and `Connections`", false),
];

/// The peer and the server of ours that are measured in each set-up.
pub const PEER: &str = "axum-checked";
pub const OURS: &str = "stream";

/// One set-up. A page is a request without an upgrade: its instructions and allocations, without the layer, behind it as a tower layer,
/// and behind it as a layer of the `Router`.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct InSetup {
    pub peer: Row,
    pub ours: Row,
    pub page: [[f64; 2]; 3],
}

#[derive(Default, Deserialize, Serialize)]
pub struct Measured {
    /// In the order of [`MODES`].
    pub rows: Vec<Row>,
    /// In the order of [`SETUPS`].
    pub setups: Vec<InSetup>,
    /// Bytes echoed through a `WsStream` beside the same loop on a `TcpStream`: of 64 bytes, and of 64 KiB.
    pub stream: Option<[f64; 2]>,
}

impl Measured {
    pub fn row(&self, name: &str) -> &Row {
        &self.rows[at(name)]
    }
}

/// What needs no clock.
pub fn counts() -> Measured {
    let mut measured = Measured::default();
    for mode in &MODES {
        measured.rows.push(count(mode.name, mode.kind != Kind::Raw));
    }
    for (place, Setup { options, peer, .. }) in SETUPS.iter().enumerate() {
        // The first is that of all rows.
        let of =
            |name: &str| if place == 0 { measured.row(name).clone() } else { count(&format!("{name}{options}"), true) };
        let (ours, peer) = (of(OURS), if *peer { of(PEER) } else { Row::default() });
        let page = count_pages(options);
        measured.setups.push(InSetup { peer, ours, page });
    }
    measured
}

pub fn all() -> Measured {
    let mut measured = counts();
    let mut clocked = Vec::new();
    for (mode, row) in MODES.iter().zip(&mut measured.rows) {
        clocked.push((mode.name.to_owned(), row));
    }
    for (Setup { options, peer, .. }, found) in SETUPS.iter().zip(&mut measured.setups) {
        clocked.push((format!("{OURS}{options}"), &mut found.ours));
        if *peer {
            clocked.push((format!("{PEER}{options}"), &mut found.peer));
        }
    }
    let servers: Vec<_> = clocked.iter().map(|(name, _)| Server::start(name)).collect();
    rates(&servers, &mut clocked);
    // The first are those of the modes.
    echoes(&servers[..MODES.len()], &mut clocked);
    drop(servers);
    for (name, row) in &mut clocked {
        eprintln!("weighing {name}");
        row.idle = median((0..3).map(|_| idle(name, 1000)).collect());
    }
    measured.stream = Some([beside("raw", "tcp", 64), beside("raw", "tcp", 64 << 10)]);
    measured
}

fn count(name: &str, frames: bool) -> Row {
    eprintln!("counting {name}");
    let instructions = instructions(name, handshakes, 400);
    let allocations = allocations(name, handshakes, 50, 250);
    let heap = each(
        |count| {
            let mut server = Server::single(name);
            let runtime = runtime();
            let mut client = Client::new(&server);
            let idle = runtime.block_on(open_idle(&mut client, frames, count));
            let heap = server.heap();
            drop(idle);
            heap
        },
        100,
        500,
    );
    Row { instructions, allocations, heap, ..Row::default() }
}

fn count_pages(options: &str) -> [[f64; 2]; 3] {
    let [without, with, router] = ["page", "page-behind", "page-router"].map(|name| {
        let name = format!("{name}{options}");
        eprintln!("counting {name}");
        let allocations = allocations(&name, pages(0), 100, 1100);
        // Hash maps have other seeds in each process, and what the system's allocator does depends on the sizes that it is asked for.
        // Several processes, with requests of several lengths, even that out.
        let instructions = [0, 60, 120, 180, 240, 300, 360].map(|longer| instructions(&name, pages(longer), 1000));
        (instructions, allocations)
    });
    let more = |with: &[f64]| median(without.0.iter().zip(with).map(|(without, with)| with - without).collect());
    let least = median(without.0.to_vec());
    [[least, without.1], [least + more(&with.0), with.1], [least + more(&router.0), router.1]]
}

/// What one more costs, by the difference of two runs. Counts, unlike times, may be taken at once.
pub fn each(count: impl Fn(u32) -> u64 + Sync, few: u32, many: u32) -> f64 {
    let (cost, before) = thread::scope(|scope| {
        let before = scope.spawn(|| count(few));
        (count(many), before.join().expect("a count"))
    });
    (cost as f64 - before as f64) / f64::from(many - few)
}

/// The allocations of one round of a load.
fn allocations(name: &str, load: impl Fn(&mut Client, &Runtime, u32) + Sync, few: u32, many: u32) -> f64 {
    let count = |rounds| {
        let mut server = Server::single(name);
        in_turn(&server, |client, runtime| load(client, runtime, rounds));
        server.allocations()
    };
    each(count, few, many)
}

/// The instructions of one round of a load, once the server has seen some.
pub fn instructions(name: &str, load: impl Fn(&mut Client, &Runtime, u32), rounds: u32) -> f64 {
    let server = Server::counted(name);
    in_turn(&server, |client, runtime| load(client, runtime, 50));
    server.zero_instructions();
    in_turn(&server, |client, runtime| load(client, runtime, rounds));
    server.instructions() as f64 / f64::from(rounds)
}

fn in_turn(server: &Server, load: impl FnOnce(&mut Client, &Runtime)) {
    let runtime = runtime();
    load(&mut Client::new(server), &runtime);
    drop(runtime);
    // What was left of the last is done by then.
    thread::sleep(Duration::from_millis(100));
}

pub fn handshakes(client: &mut Client, runtime: &Runtime, count: u32) {
    runtime.block_on(async {
        for _ in 0..count {
            drop(client.open().await);
        }
    });
}

/// Requests of a page, each longer by so many bytes.
fn pages(longer: usize) -> impl Fn(&mut Client, &Runtime, u32) + Sync {
    move |client, runtime, count| runtime.block_on(client.pages(count, longer))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Handshakes a second over loopback.
fn rates(servers: &[Server], clocked: &mut [(String, &mut Row)]) {
    const ROUNDS: usize = 15;
    const TURN: Duration = Duration::from_millis(400);
    let runtime = runtime();
    let mut found = vec![Vec::new(); servers.len()];
    for round in 0..ROUNDS {
        eprintln!("handshakes a second, round {} of {ROUNDS}", round + 1);
        for place in 0..servers.len() {
            let place = (place + round) % servers.len();
            let mut clients: Vec<_> = (0..16).map(|_| Client::new(&servers[place])).collect();
            let rate = runtime.block_on(async {
                let start = Instant::now();
                let one = async |client: &mut Client| {
                    let mut done = 0_u32;
                    while start.elapsed() < TURN {
                        drop(client.open().await);
                        done += 1;
                    }
                    done
                };
                let done: u32 = futures_util::future::join_all(clients.iter_mut().map(one)).await.into_iter().sum();
                f64::from(done) / start.elapsed().as_secs_f64()
            });
            found[place].push(rate);
        }
    }
    let reference = found[at(REFERENCE)].clone();
    for ((_, row), rates) in clocked.iter_mut().zip(&found) {
        row.rate = median(rates.clone());
        row.rate_ratio = median(rates.iter().zip(&reference).map(|(rate, reference)| rate / reference).collect());
    }
}

/// Echoes, one at a time.
fn echoes(servers: &[Server], clocked: &mut [(String, &mut Row)]) {
    const ROUNDS: usize = 15;
    let mut sockets: Vec<_> = servers.iter().map(open_blocking).collect();
    let mut found = vec![Vec::new(); servers.len()];
    for round in 0..ROUNDS {
        eprintln!("echoes, round {} of {ROUNDS}", round + 1);
        for place in 0..servers.len() {
            let place = (place + round) % servers.len();
            let frames = MODES[place].kind != Kind::Raw;
            let small = echo(&mut sockets[place], frames, 64, Duration::from_millis(100));
            let large = echo(&mut sockets[place], frames, 16 << 10, Duration::from_millis(100));
            found[place].push((small, large));
        }
    }
    for ((_, row), turns) in clocked.iter_mut().zip(&found) {
        let of = |number: fn(&(Turn, Turn)) -> f64| median(turns.iter().map(number).collect());
        row.echoes = of(|(small, _)| small.rate);
        row.p99 = of(|(small, _)| small.p99);
        row.throughput = of(|(_, large)| large.rate) * 16.0 / 1024.0;
    }
}

fn open_blocking(server: &Server) -> TcpStream {
    runtime().block_on(Client::new(server).open_blocking())
}

/// What came of one turn: echoes a second, and how long the slowest of a hundred took, in microseconds.
#[derive(Clone)]
struct Turn {
    rate: f64,
    p99: f64,
}

fn echo(socket: &mut TcpStream, frames: bool, size: usize, time: Duration) -> Turn {
    let (mut sent, mut back) = (Vec::new(), size);
    if frames {
        sent.push(0x82);
        if size < 126 {
            sent.push(0x80 | u8::try_from(size).expect("small"));
        } else {
            sent.push(0xfe);
            sent.extend(u16::try_from(size).expect("not too large").to_be_bytes());
        }
        // The server's frames have no mask.
        back += sent.len();
        sent.extend([1, 2, 3, 4]);
    }
    sent.resize(sent.len() + size, b'x');
    let mut echoed = vec![0; back];
    let (start, mut took) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let sending = Instant::now();
        socket.write_all(&sent).expect("sent");
        socket.read_exact(&mut echoed).expect("echoed");
        took.push(sending.elapsed().as_secs_f64() * 1e6);
    }
    let rate = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    Turn { rate, p99: took[took.len() * 99 / 100] }
}

/// What is resident for each of so many idle connections.
pub fn idle(name: &str, count: u32) -> f64 {
    let base = name.split('+').next().unwrap_or(name);
    let frames = MODES.iter().find(|mode| mode.name == base).is_some_and(|mode| mode.kind != Kind::Raw);
    let server = Server::start(name);
    let runtime = runtime();
    let mut client = Client::new(&server);
    let warm = runtime.block_on(open_idle(&mut client, frames, 20));
    let before = server.resident();
    let idle = runtime.block_on(open_idle(&mut client, frames, count));
    let each = (server.resident() as f64 - before as f64) / f64::from(count);
    drop((warm, idle));
    each
}

/// Sockets that have echoed a message of two bytes.
async fn open_idle(client: &mut Client, frames: bool, count: u32) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = client.open().await;
        socket.write_all(if frames { b"\x82\x82\0\0\0\0hi" } else { b"hi" }).await.expect("sent");
        socket.flush().await.expect("sent");
        socket.read_exact(&mut [0; 4][..if frames { 4 } else { 2 }]).await.expect("echoed");
        sockets.push(socket);
    }
    sockets
}

/// The median ratio of bytes echoed by two servers that take turns.
fn beside(ours: &str, theirs: &str, size: usize) -> f64 {
    const STARTS: usize = 7;
    const ROUNDS: usize = 15;
    let mut ratios = Vec::new();
    for _ in 0..STARTS {
        let servers = [ours, theirs].map(Server::start);
        let mut sockets = servers.each_ref().map(open_blocking);
        for round in 0..ROUNDS {
            let mut rates = [0.0; 2];
            for place in [round % 2, 1 - round % 2] {
                rates[place] = echo(&mut sockets[place], false, size, Duration::from_millis(20)).rate;
            }
            ratios.push(rates[0] / rates[1]);
        }
    }
    median(ratios)
}

/// Instructions of a handshake with so many subprotocols offered; more than 32 are refused.
pub fn instructions_offering(name: &str, subprotocols: u32) -> f64 {
    let request = offering(subprotocols);
    let status = if subprotocols > 32 { StatusCode::BAD_REQUEST } else { StatusCode::SWITCHING_PROTOCOLS };
    let load = |client: &mut Client, runtime: &Runtime, count| {
        runtime.block_on(async {
            for _ in 0..count {
                drop(client.handshake(&request, status).await);
            }
        });
    };
    instructions(name, load, 100)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
