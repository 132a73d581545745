//! The server's process, and its clients.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep},
};

pub(super) struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    pub(super) fn start(limit: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.args(["--serve", limit]).stdout(Stdio::piped()).spawn().unwrap();
        let mut server =
            Self { output: BufReader::new(process.stdout.take().unwrap()), process, address: ([0; 4], 0).into() };
        server.address = server.line().parse().unwrap();
        server
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().into()
    }

    pub(super) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.rsplit("\r\n\r\n").next().unwrap().into()
    }

    /// The number of open connections, and the highest number so far.
    pub(super) async fn len(&self) -> (usize, usize) {
        let text = self.get("/len").await;
        let (open, most) = text.split_once(' ').unwrap();
        (open.parse().unwrap(), most.parse().unwrap())
    }

    /// How many bytes the server has allocated and not freed.
    pub(super) async fn heap(&self) -> u64 {
        self.get("/heap").await.parse().unwrap()
    }

    /// Waits until `expected` connections are open.
    pub(super) async fn opened(&self, expected: usize) {
        let start = Instant::now();
        while self.len().await.0 != expected {
            assert!(start.elapsed() < Duration::from_secs(20), "{} are open, not {expected}", self.len().await.0);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many bytes of the server's memory are in RAM.
    async fn resident(&self) -> u64 {
        sleep(Duration::from_millis(500)).await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many bytes the server has allocated and not freed, and how many bytes of its memory are in RAM.
    pub(super) async fn memory(&self) -> [u64; 2] {
        let resident = self.resident().await;
        [self.heap().await, resident]
    }

    /// Waits for the server to exit with success, for at most a second.
    pub(super) async fn exited(&mut self) -> bool {
        for _ in 0..50 {
            if self.process.try_wait().unwrap().is_some_and(|status| status.success()) {
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects from one of many addresses, because one address does not have enough ports.
pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [.., last] = (NEXT.fetch_add(1, Ordering::Relaxed) % 200).to_be_bytes();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 1, last + 1), 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Connects, and sends a handshake.
pub(super) async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    ask_with(address, path, "").await
}

/// Connects, and sends a handshake with more headers, each with its end of line.
pub(super) async fn ask_with(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = connect(address).await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads the head of the response, and returns the status.
pub(super) async fn status(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8_lossy(&head[9..12]).parse().unwrap()
}

/// Reads to the end.
pub(super) async fn discard(from: &mut (impl AsyncRead + Unpin)) {
    let _ = tokio::io::copy(from, &mut tokio::io::sink()).await;
}

/// Opens many connections, 100 at a time.
pub(super) async fn open(address: SocketAddr, path: &'static str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let batch = (streams.len()..count).take(100).map(|_| async move {
            let mut stream = ask(address, path).await;
            assert_eq!(status(&mut stream).await, 101);
            stream
        });
        streams.extend(futures_util::future::join_all(batch).await);
    }
    streams
}
