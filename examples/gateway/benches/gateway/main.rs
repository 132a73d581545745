//! Run with `bash ci/gateway.sh`, which installs nginx and `HAProxy` and then runs `cargo bench -p gateway`. Compares the gateway, nginx
//! and `HAProxy` in front of the same upstream, under the same load.
//!
//! In every round, each proxy has its turn. The benchmark divides the gateway's figure by the better figure of the other two in the same
//! round, and reports the median over the rounds.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = 15;
const TURN: Duration = Duration::from_millis(400);

fn main() {
    let mut args = std::env::args();
    if args.any(|arg| arg == "--upstream") {
        return upstream();
    }
    let folder = tempfile::tempdir().unwrap();
    let upstream = Server::start(Command::new(std::env::current_exe().unwrap()).arg("--upstream"));
    let proxies = [
        gateway(&upstream.address),
        nginx(folder.path(), &upstream.address),
        haproxy(folder.path(), &upstream.address),
    ];
    println!(
        "{ROUNDS} rounds, each with turns of {} ms; medians, and the ratio to the better of the others",
        TURN.as_millis()
    );
    println!("{:<34} {:>12} {:>12} {:>12} {:>7}", "", "gateway", "nginx", "HAProxy", "ratio");
    for load in [
        Load { name: "1 MiB, 4 sockets: MiB/s", size: 1 << 20, sockets: 4, per: 1 << 20 },
        Load { name: "1 MiB, 32 sockets: MiB/s", size: 1 << 20, sockets: 32, per: 1 << 20 },
        Load { name: "64 bytes, 1 socket: echoes/s", size: 64, sockets: 1, per: 64 },
        Load { name: "64 bytes, 64 sockets: echoes/s", size: 64, sockets: 64, per: 64 },
    ] {
        run(&load, &proxies, &upstream);
    }
}

struct Load {
    name: &'static str,
    size: usize,
    sockets: usize,
    /// The number of bytes in one unit of the report.
    per: usize,
}

fn run(load: &Load, proxies: &[Server; 3], upstream: &Server) {
    let connect = |server: &Server| (0..load.sockets).map(|_| server.connect()).collect::<Vec<_>>();
    let mut sockets = proxies.each_ref().map(connect);
    let mut direct = connect(upstream);
    let mut turns: [Vec<Turn>; 3] = [const { Vec::new() }; 3];
    let mut without = Vec::new();
    for round in 0..ROUNDS {
        for at in 0..3 {
            // Another proxy is first in each round.
            let proxy = (round + at) % 3;
            turns[proxy].push(turn(load, &mut sockets[proxy]));
        }
        without.push(turn(load, &mut direct));
    }
    let of = |turns: &[Turn], number: fn(&Turn) -> f64| median(turns.iter().map(number).collect());
    let [ours, nginx, haproxy] = &turns;
    let ratio = |number: fn(&Turn) -> f64, better: fn(f64, f64) -> f64| {
        median((0..ROUNDS).map(|at| number(&ours[at]) / better(number(&nginx[at]), number(&haproxy[at]))).collect())
    };
    let rate = |turn: &Turn| turn.rate;
    let row = |name: &str, number: fn(&Turn) -> f64, ratio: f64| {
        let [ours, nginx, haproxy] = turns.each_ref().map(|turns| of(turns, number));
        println!("{name:<34} {ours:>12.0} {nginx:>12.0} {haproxy:>12.0} {ratio:>7.3}");
    };
    row(load.name, rate, ratio(rate, f64::max));
    if load.size < 1000 {
        // Times are added to what the upstream itself takes.
        let direct = [of(&without, |turn| turn.p50), of(&without, |turn| turn.p99)];
        row("  p50, us", |turn| turn.p50, ratio(|turn| turn.p50, f64::min));
        row("  p99, us", |turn| turn.p99, ratio(|turn| turn.p99, f64::min));
        println!("{:<34} {:>12.0} {:>12.0}", "  p50 and p99 without a proxy, us", direct[0], direct[1]);
    }
}

/// The result of one turn: a rate of echoes, and the time of one, in microseconds.
struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
}

/// All sockets at once: each sends its message and waits for the echo, again and again.
fn turn(load: &Load, sockets: &mut [TcpStream]) -> Turn {
    let start = Barrier::new(sockets.len());
    let took = thread::scope(|scope| {
        let running: Vec<_> = sockets
            .iter_mut()
            .map(|socket| {
                let start = &start;
                scope.spawn(move || {
                    let (sent, mut echoed) = (vec![b'x'; load.size], vec![0; load.size]);
                    let mut took = Vec::new();
                    start.wait();
                    let began = Instant::now();
                    while began.elapsed() < TURN {
                        let sending = Instant::now();
                        echo(socket, &sent, &mut echoed);
                        took.push(sending.elapsed().as_secs_f64());
                    }
                    (took, began.elapsed().as_secs_f64())
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let rate =
        took.iter().map(|(took, all)| f64::from(u32::try_from(took.len() * load.size / load.per).unwrap()) / all).sum();
    let mut each: Vec<f64> = took.into_iter().flat_map(|(took, _)| took).map(|seconds| seconds * 1e6).collect();
    each.sort_by(f64::total_cmp);
    Turn { rate, p50: each[each.len() / 2], p99: each[each.len() * 99 / 100] }
}

/// Sends in pieces, so that a large message does not block both sides while they write.
fn echo(socket: &mut TcpStream, sent: &[u8], echoed: &mut [u8]) {
    for (sent, echoed) in sent.chunks(128 << 10).zip(echoed.chunks_mut(128 << 10)) {
        socket.write_all(sent).unwrap();
        socket.read_exact(echoed).unwrap();
    }
    assert!(echoed[0] == b'x' && echoed[echoed.len() - 1] == b'x');
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Accepts every handshake, and echoes bytes: a fast upstream, the same for all.
#[tokio::main(flavor = "current_thread")]
async fn upstream() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let key = head
                .lines()
                .find_map(|line| line.to_lowercase().starts_with("sec-websocket-key: ").then(|| &line[19..]));
            let key: ws_handshake::handshake::Key = key.unwrap().trim().parse().unwrap();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                key.accept().to_str().unwrap()
            );
            stream.write_all(answer.as_bytes()).await?;
            let (mut read, mut write) = stream.split();
            let mut buffer = vec![0; 256 << 10];
            loop {
                let length = read.read(&mut buffer).await?;
                if length == 0 {
                    return std::io::Result::Ok(());
                }
                write.write_all(&buffer[..length]).await?;
            }
        });
    }
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts a server that prints its address.
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().rsplit("//").next().unwrap().to_owned() }
    }

    /// Starts a server on `address`, and waits until it listens.
    fn at(address: String, command: &mut Command) -> Self {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { process: process.expect("`bash ci/gateway.sh` installs it"), address };
        for _ in 0..100 {
            if TcpStream::connect(&server.address).is_ok() {
                return server;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{command:?} does not listen");
    }

    fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ask nginx to stop, because it has workers to end.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn gateway(upstream: &str) -> Server {
    let upstream = format!("ws://{upstream}");
    Server::start(Command::new(env!("CARGO_BIN_EXE_gateway")).args([
        "--listen",
        "127.0.0.1:0",
        "--limit-per-peer",
        "1000",
        "--upstream",
        &upstream,
    ]))
}

/// The configuration of docs/proxies, without logs.
fn nginx(folder: &Path, upstream: &str) -> Server {
    let address = free_address();
    let (configuration, folder) = (folder.join("nginx.conf"), folder.display());
    let text = format!(
        "daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log /dev/null;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         server {{ listen {address}; location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; proxy_set_header Host $http_host;\n\
         proxy_read_timeout 1h; }} }} }}\n"
    );
    std::fs::write(&configuration, text).unwrap();
    Server::at(address, Command::new("nginx").arg("-c").arg(configuration))
}

fn haproxy(folder: &Path, upstream: &str) -> Server {
    let address = free_address();
    let configuration = folder.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 2\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n\
         \x20 timeout server 30s\n  timeout tunnel 1h\nfrontend public\n  bind {address}\n  default_backend app\n\
         backend app\n  server app {upstream}\n"
    );
    std::fs::write(&configuration, text).unwrap();
    Server::at(address, Command::new("haproxy").arg("-db").arg("-f").arg(configuration))
}
