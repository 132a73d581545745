//! Run with `cargo bench -p comparisons`: each framing library behind the layer, beside its own accept.
//!
//! Memory and echoes, side by side in one run, each server a process of its own. `-- --serve NAME [ADDRESS]` runs one of
//! the servers, for other clients.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

mod servers;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LIBRARIES: [&str; 4] = ["tungstenite", "fastwebsockets", "tokio-websockets", "yawc"];

/// What each is measured against.
const OWN: [(&str, &str); 5] = [
    ("tungstenite", "own-tungstenite"),
    ("fastwebsockets", "own-fastwebsockets"),
    ("tokio-websockets", "own-tokio-websockets"),
    ("tokio-websockets", "own-tokio-websockets-serve"),
    ("yawc", "own-yawc"),
];

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--serve").skip(1);
    if let Some(name) = args.next() {
        return servers::run(&name, &args.next().unwrap_or_else(|| "127.0.0.1:0".into()));
    }
    memory();
    for load in [
        Load { name: "64 bytes, 64 at once", size: 64, batch: 64 },
        Load { name: "16 KiB, 4 at once", size: 16 << 10, batch: 4 },
        Load { name: "1 MiB, 1 at once", size: 1 << 20, batch: 1 },
        Load { name: "64 bytes, 1 at once", size: 64, batch: 1 },
    ] {
        speed(&load);
    }
}

/// Resident memory of the server for each connection that is idle.
fn memory() {
    const IDLE: u32 = 1000;
    println!("resident memory of an idle connection, KiB ({IDLE} of them, after one message of 2 bytes)");
    let mut axum = None;
    for name in ["axum"].into_iter().chain(LIBRARIES).chain(["yawc-deflate", "yawc-deflate-pool"]) {
        let server = Server::start(name);
        let deflate = name.contains("deflate");
        let connect = |count| (0..count).map(|_| server.connect(deflate).warm()).collect::<Vec<_>>();
        let warm = connect(20);
        let before = server.resident();
        let idle = connect(IDLE);
        let each = f64::from(server.resident() - before) / f64::from(IDLE);
        let axum = *axum.get_or_insert(each);
        println!("{name:<20} {each:>8.2}   1/{:.1} of axum's", axum / each);
        drop((warm, idle));
    }
}

struct Load {
    name: &'static str,
    size: usize,
    batch: u32,
}

/// Medians over many short rounds, in each of which both servers of a library have their turn: what else the machine does
/// takes longer than a round. Every few rounds both are started anew, for a process keeps the luck of its first layout in
/// memory. A ratio above 1 speaks for the layer.
fn speed(load: &Load) {
    const STARTS: usize = 15;
    const ROUNDS: usize = 10;
    println!("\nechoes of {}: behind the layer, by the library's own accept, ratio", load.name);
    println!("{:<26} {:^30}   {:^25}   {:^25}", "", "echoes/s", "p50, us", "p99, us");
    for (name, own) in OWN {
        let mut turns = [Vec::new(), Vec::new()];
        for _ in 0..STARTS {
            let servers = [name, own].map(Server::start);
            let mut connections = servers.each_ref().map(|server| server.connect(false).warm());
            for round in 0..ROUNDS {
                // Whoever is first in one round is second in the next.
                for turn in [round % 2, 1 - round % 2] {
                    turns[turn].push(connections[turn].echo(load));
                }
            }
        }
        let [ours, theirs] = turns;
        let of = |turns: &[Turn], number: fn(&Turn) -> f64| median(turns.iter().map(number).collect());
        let ratio =
            |ratio: fn(&Turn, &Turn) -> f64| median(ours.iter().zip(&theirs).map(|(a, b)| ratio(a, b)).collect());
        println!(
            "{own:<26} {:>11.0} {:>11.0} {:>6.3}   {:>9.1} {:>8.1} {:>6.3}   {:>9.1} {:>8.1} {:>6.3}",
            of(&ours, |turn| turn.rate),
            of(&theirs, |turn| turn.rate),
            ratio(|ours, theirs| ours.rate / theirs.rate),
            of(&ours, |turn| turn.p50),
            of(&theirs, |turn| turn.p50),
            ratio(|ours, theirs| theirs.p50 / ours.p50),
            of(&ours, |turn| turn.p99),
            of(&theirs, |turn| turn.p99),
            ratio(|ours, theirs| theirs.p99 / ours.p99),
        );
    }
}

/// What a server did in its turn: echoes a second, and how long a batch of them took to come back, in microseconds.
struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 50)
}

fn quantile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.args(["--serve", name]).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().rsplit("//").next().unwrap().to_owned() }
    }

    /// Opens a socket, with an offer of permessage-deflate or without.
    fn connect(&self, deflate: bool) -> Connection {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            self.address,
            if deflate { "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" } else { "" }
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101") && head.contains("permessage-deflate") == deflate, "{head}");
        Connection { stream }
    }

    /// How much of the server's memory is in RAM, in KiB.
    fn resident(&self) -> u32 {
        std::thread::sleep(Duration::from_millis(300));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Sends one message, and reads it.
    fn warm(mut self) -> Self {
        self.stream.write_all(b"\x82\x82\0\0\0\0hi").unwrap();
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let mut echo = vec![0; head[1].into()];
        self.stream.read_exact(&mut echo).unwrap();
        // The first bit of the payload's kind says that it is compressed.
        assert!(head[0] == 0xc2 || echo == b"hi", "{head:?} {echo:?}");
        self
    }

    fn echo(&mut self, load: &Load) -> Turn {
        let mut frame = vec![0x82];
        // The server's frames have no mask: four bytes less.
        match load.size {
            size @ ..126 => frame.push(0x80 | u8::try_from(size).unwrap()),
            size @ ..0x1_0000 => {
                frame.push(0xfe);
                frame.extend(u16::try_from(size).unwrap().to_be_bytes());
            }
            size => {
                frame.push(0xff);
                frame.extend((size as u64).to_be_bytes());
            }
        }
        let head = frame.len();
        frame.extend([1, 2, 3, 4]);
        frame.resize(head + 4 + load.size, b'x');
        let batch = load.batch.try_into().unwrap();
        let sent = frame.repeat(batch);
        let mut echoed = vec![0; (head + load.size) * batch];
        let (start, mut batches, mut took) = (Instant::now(), 0_u32, Vec::new());
        while start.elapsed() < Duration::from_millis(15) {
            let sending = Instant::now();
            self.stream.write_all(&sent).unwrap();
            self.stream.read_exact(&mut echoed).unwrap();
            took.push(sending.elapsed().as_secs_f64() * 1e6);
            batches += 1;
        }
        let rate = f64::from(batches * load.batch) / start.elapsed().as_secs_f64();
        assert_eq!(echoed[head], b'x' ^ 1);
        Turn { rate, p50: median(took.clone()), p99: quantile(took, 99) }
    }
}
