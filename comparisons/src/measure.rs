//! What is measured of each server, all of them in turn within each round.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    client::{HANDSHAKE, PAGE, Server, ask, handshake},
    servers::MODES,
};

/// What was found of one server.
#[derive(Default)]
pub struct Row {
    pub instructions: f64,
    pub allocations: f64,
    /// Handshakes a second, and the ratio to axum's in the same rounds.
    pub rate: f64,
    pub rate_ratio: f64,
    /// Bytes that are resident for a connection that is idle.
    pub idle: f64,
    /// Echoes of 64 bytes one at a time: a second, and how long one takes in microseconds.
    pub echoes: f64,
    pub p50: f64,
    pub p99: f64,
    /// Of 16 KiB one at a time, in MiB a second.
    pub throughput: f64,
}

#[derive(Default)]
pub struct Measured {
    /// In the order of [`MODES`].
    pub rows: Vec<Row>,
    /// Instructions and allocations of a page, without the layer and behind it.
    pub page: [[f64; 2]; 2],
    /// Bytes echoed through a `WsStream` beside the same loop on a `TcpStream`: of 64 bytes, and of 64 KiB.
    pub stream: Option<[f64; 2]>,
    /// Resident bytes for an idle connection: a raw `WsStream`, and a bare hyper upgrade with the same buffer.
    pub idle_raw: Option<[f64; 2]>,
}

impl Measured {
    pub fn row(&self, name: &str) -> &Row {
        let at = MODES.iter().position(|mode| mode.name == name).expect("a mode");
        &self.rows[at]
    }
}

/// What needs no clock.
pub fn counts() -> Measured {
    let mut measured = Measured::default();
    for mode in &MODES {
        eprintln!("counting {}", mode.title);
        let instructions = each(|count| instructions(mode.name, |server| handshakes(server, count)), 50, 250);
        let allocations = each(|count| allocations(mode.name, |server| handshakes(server, count)), 50, 250);
        measured.rows.push(Row { instructions, allocations, ..Row::default() });
    }
    let [without, with] = ["page", "page-behind"].map(|name| {
        eprintln!("counting {name}");
        let allocations = each(|count| allocations(name, |server| pages(server, count, 0)), 100, 1100);
        // What the system's allocator does for the same number of allocations depends on their sizes: with requests of
        // several lengths that evens out.
        let of = |longer| each(|count| instructions(name, |server| pages(server, count, longer)), 100, 1100);
        ([0, 60, 120, 180, 240, 300, 360].map(of), allocations)
    });
    let more = median(without.0.iter().zip(&with.0).map(|(without, with)| with - without).collect());
    let least = median(without.0.to_vec());
    measured.page = [[least, without.1], [least + more, with.1]];
    measured
}

pub fn all() -> Measured {
    let mut measured = counts();
    let servers: Vec<_> = MODES.iter().map(|mode| Server::start(mode.name)).collect();
    rates(&servers, &mut measured.rows);
    echoes(&servers, &mut measured.rows);
    drop(servers);
    for (mode, row) in MODES.iter().zip(&mut measured.rows) {
        eprintln!("weighing {}", mode.title);
        row.idle = idle(mode.name, mode.frames, 1000);
    }
    let median_idle = |name| median((0..5).map(|_| idle(name, false, 1000)).collect());
    measured.idle_raw = Some([median_idle("tower"), median_idle("hyper")]);
    measured.stream = Some([beside("raw", "tcp", 64), beside("raw", "tcp", 64 << 10)]);
    measured
}

/// What one more costs, by the difference of two runs.
pub fn each(count: impl Fn(u32) -> u64, few: u32, many: u32) -> f64 {
    (count(many) as f64 - count(few) as f64) / f64::from(many - few)
}

pub fn instructions(name: &str, load: impl Fn(&Server)) -> u64 {
    let server = Server::counted(name);
    load(&server);
    server.instructions()
}

fn allocations(name: &str, load: impl Fn(&Server)) -> u64 {
    let mut server = Server::start(name);
    load(&server);
    server.allocations()
}

fn handshakes(server: &Server, count: u32) {
    for _ in 0..count {
        drop(server.open());
    }
    // What was left of the last is done by then.
    std::thread::sleep(Duration::from_millis(100));
}

/// Asks for so many pages, with a field more in the request's head that is so long.
fn pages(server: &Server, count: u32, longer: usize) {
    let request = PAGE.replace("\r\n\r\n", &format!("\r\nX-Longer: {}\r\n\r\n", "x".repeat(longer)));
    let mut stream = TcpStream::connect(server.address).expect("it listens");
    stream.set_nodelay(true).expect("a TCP stream");
    for _ in 0..count {
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\npage") {
            let mut piece = [0; 512];
            let length = stream.read(&mut piece).expect("an answer");
            assert!(length > 0, "the connection ended");
            answer.extend_from_slice(&piece[..length]);
        }
    }
}

/// Handshakes a second over loopback.
fn rates(servers: &[Server], rows: &mut [Row]) {
    const ROUNDS: usize = 15;
    const TURN: Duration = Duration::from_millis(400);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut found = vec![Vec::new(); servers.len()];
    for round in 0..ROUNDS {
        eprintln!("handshakes a second, round {} of {ROUNDS}", round + 1);
        for at in 0..servers.len() {
            let at = (at + round) % servers.len();
            let address = servers[at].address;
            let rate = runtime.block_on(async {
                let start = Instant::now();
                let one = async || {
                    let mut done = 0_u32;
                    while start.elapsed() < TURN {
                        handshake(address).await.expect("a handshake");
                        done += 1;
                    }
                    done
                };
                let done: u32 = futures_util::future::join_all((0..16).map(|_| one())).await.into_iter().sum();
                f64::from(done) / start.elapsed().as_secs_f64()
            });
            found[at].push(rate);
        }
    }
    for (row, rates) in rows.iter_mut().zip(&found) {
        row.rate = median(rates.clone());
        row.rate_ratio = median(rates.iter().zip(&found[0]).map(|(rate, axum)| rate / axum).collect());
    }
}

/// Echoes, one at a time.
fn echoes(servers: &[Server], rows: &mut [Row]) {
    const ROUNDS: usize = 15;
    let mut sockets: Vec<_> = servers.iter().map(Server::open).collect();
    let mut found = vec![Vec::new(); servers.len()];
    for round in 0..ROUNDS {
        eprintln!("echoes, round {} of {ROUNDS}", round + 1);
        for at in 0..servers.len() {
            let at = (at + round) % servers.len();
            let frames = MODES[at].frames;
            let small = echo(&mut sockets[at], frames, 64, Duration::from_millis(100));
            let large = echo(&mut sockets[at], frames, 16 << 10, Duration::from_millis(100));
            found[at].push((small, large));
        }
    }
    for (row, turns) in rows.iter_mut().zip(&found) {
        let of = |number: fn(&(Turn, Turn)) -> f64| median(turns.iter().map(number).collect());
        row.echoes = of(|(small, _)| small.rate);
        row.p50 = of(|(small, _)| small.p50);
        row.p99 = of(|(small, _)| small.p99);
        row.throughput = of(|(_, large)| large.rate) * 16.0 / 1024.0;
    }
}

/// What came of one turn: echoes a second, and how long one took, in microseconds.
#[derive(Clone)]
struct Turn {
    rate: f64,
    p50: f64,
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
    Turn { rate, p50: took[took.len() / 2], p99: took[took.len() * 99 / 100] }
}

/// What is resident for each of so many idle connections.
pub fn idle(name: &str, frames: bool, count: u32) -> f64 {
    let server = Server::start(name);
    let open = |count| {
        (0..count)
            .map(|_| {
                let mut socket = server.open();
                socket.write_all(if frames { b"\x82\x82\0\0\0\0hi" } else { b"hi" }).expect("sent");
                socket.read_exact(&mut [0; 4][..if frames { 4 } else { 2 }]).expect("echoed");
                socket
            })
            .collect::<Vec<_>>()
    };
    let warm = open(20);
    let before = server.resident();
    let idle = open(count);
    let each = (server.resident() as f64 - before as f64) / f64::from(count);
    drop((warm, idle));
    each
}

/// The median ratio of bytes echoed by two servers that take turns.
fn beside(ours: &str, theirs: &str, size: usize) -> f64 {
    const STARTS: usize = 7;
    const ROUNDS: usize = 15;
    let mut ratios = Vec::new();
    for _ in 0..STARTS {
        let servers = [ours, theirs].map(Server::start);
        let mut sockets = servers.each_ref().map(Server::open);
        for round in 0..ROUNDS {
            let mut rates = [0.0; 2];
            for at in [round % 2, 1 - round % 2] {
                rates[at] = echo_bytes(&mut sockets[at], size);
            }
            ratios.push(rates[0] / rates[1]);
        }
    }
    median(ratios)
}

fn echo_bytes(socket: &mut TcpStream, size: usize) -> f64 {
    echo(socket, false, size, Duration::from_millis(20)).rate
}

/// Instructions of a handshake that asks otherwise than [`HANDSHAKE`], and is answered with this status.
pub fn instructions_of(name: &str, request: &str, status: &str) -> f64 {
    let load = |count| {
        move |server: &Server| {
            for _ in 0..count {
                let mut stream = TcpStream::connect(server.address).expect("it listens");
                ask(&mut stream, request, status);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    each(|count| instructions(name, load(count)), 20, 120)
}

/// The handshake with this many subprotocols offered.
pub fn offering(subprotocols: u32) -> String {
    let names: Vec<_> = (1..=subprotocols).map(|n| format!("v{n}.chat")).collect();
    HANDSHAKE.replace("v1.chat, v3.chat", &names.join(", "))
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
