//! Clients, and the processes that they talk to.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

/// With the fields that Chromium sends.
pub const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: app500.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://app500.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; \
    client_max_window_bits\r\nSec-WebSocket-Protocol: v1.chat, v3.chat\r\n\r\n";

/// A page, as Chromium asks for it.
pub const PAGE: &str = "GET / HTTP/1.1\r\nHost: app500.example.com\r\nConnection: keep-alive\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\nAccept: text/html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// A server in a process of its own.
pub struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
    control: SocketAddr,
}

impl Server {
    /// Serves as `name` on two threads.
    pub fn start(name: &str) -> Self {
        Self::spawn(Command::new(env::current_exe().expect("a path")).args(["--serve", name, "2"]))
    }

    /// Serves on one thread, with its instructions counted.
    pub fn counted(name: &str) -> Self {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        Self::spawn(
            command.arg(env::current_exe().expect("a path")).args(["--serve", name, "1"]).stderr(Stdio::piped()),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("install valgrind first");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("an address");
        let (address, control) = line.trim().split_once(' ').expect("two addresses");
        let (address, control) = (address.parse().expect("an address"), control.parse().expect("an address"));
        Self { process, output, address, control }
    }

    /// How often it has allocated since it was started.
    pub fn allocations(&mut self) -> u64 {
        self.tell(b'a');
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a number");
        line.trim().parse().expect("a number")
    }

    /// The instructions that it took, once it has ended.
    pub fn instructions(mut self) -> u64 {
        self.tell(b'q');
        let mut text = String::new();
        self.process.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        let collected = text.split("Collected : ").nth(1).unwrap_or_else(|| panic!("{text}"));
        collected.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn tell(&self, what: u8) {
        TcpStream::connect(self.control).and_then(|mut stream| stream.write_all(&[what])).expect("it listens");
    }

    /// How much of its memory is resident, in bytes.
    pub fn resident(&self) -> u64 {
        thread::sleep(Duration::from_millis(400));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Opens a socket.
    pub fn open(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_nodelay(true).expect("a TCP stream");
        ask(&mut stream, HANDSHAKE, "HTTP/1.1 101");
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request and reads the head of its answer.
pub fn ask(stream: &mut TcpStream, request: &str, status: &str) {
    stream.write_all(request.as_bytes()).expect("sent");
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece).expect("an answer");
        assert!(length > 0, "the connection ended");
        head.extend_from_slice(&piece[..length]);
    }
    assert!(head.starts_with(status.as_bytes()), "{}", String::from_utf8_lossy(&head));
}

/// One handshake on a connection of its own, from one of many addresses; it ends by a reset, lest ports run out.
pub async fn handshake(address: SocketAddr) -> std::io::Result<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [.., last] = (NEXT.fetch_add(1, Ordering::Relaxed) % 200).to_be_bytes();
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 1, last + 1), 0).into())?;
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(HANDSHAKE.as_bytes()).await?;
    let (mut head, mut read) = ([0; 1024], 0);
    while !head[..read].ends_with(b"\r\n\r\n") {
        let more = stream.read(&mut head[read..]).await?;
        assert!(more > 0, "the connection ended");
        read += more;
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream.set_zero_linger()
}
