//! The gateway's process, an upstream and a client.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Child,
    time::timeout,
};

/// Longer than any step takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Too short to notice, and long enough for unwanted bytes to arrive.
pub(crate) const A_WHILE: Duration = Duration::from_millis(200);

pub(crate) struct Gateway {
    pub(crate) process: Child,
    pub(crate) address: String,
    pub(crate) metrics: String,
    pub(crate) upstream: TcpListener,
}

impl Gateway {
    /// Starts a gateway on a free port, in front of an upstream that the test plays.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", upstream.local_addr().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["--listen", "127.0.0.1:0", "--upstream", &url, "--metrics", "127.0.0.1:0"]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = async || {
            let line = timeout(SOON, lines.next_line()).await.expect("it says nothing").unwrap().expect("it has ended");
            line.split("://").nth(1).expect("it prints its address").split('/').next().unwrap().to_owned()
        };
        let (metrics, address) = (address().await, address().await);
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, address, metrics, upstream }
    }

    pub(crate) async fn connect(&self) -> Peer {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(stream)
    }

    /// Sends a request, and waits until the upstream sees it.
    pub(crate) async fn ask(&self, request: &str) -> (Peer, Peer, String) {
        let mut client = self.connect().await;
        client.send(request).await;
        let (upstream, head) = self.asked().await;
        (client, upstream, head)
    }

    /// The next request that the upstream sees.
    pub(crate) async fn asked(&self) -> (Peer, String) {
        let (stream, _) = timeout(SOON, self.upstream.accept()).await.expect("the upstream is not asked").unwrap();
        let mut upstream = Peer(stream);
        let head = upstream.head().await;
        (upstream, head)
    }

    /// Sends a request that the upstream must not see. Returns the response, which closes the connection.
    pub(crate) async fn refused(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert!(timeout(A_WHILE, self.upstream.accept()).await.is_err(), "the upstream is asked");
        answer
    }

    /// Opens a socket through the gateway, and returns the client's side and the upstream's side.
    pub(crate) async fn open(&self) -> (Peer, Peer) {
        let (mut client, mut upstream, head) = self.ask(&handshake(&self.address, "")).await;
        upstream.send(&accepting(&head, "")).await;
        let answer = client.head().await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        (client, upstream)
    }
}

/// One side of a connection.
pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(SOON, self.0.read_u8()).await.expect("nothing is sent");
            head.push(byte.unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&head))));
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        timeout(SOON, self.0.read_exact(&mut bytes)).await.expect("nothing is sent").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(SOON, self.0.read_to_end(&mut bytes)).await.expect("the connection stays open").unwrap();
        bytes
    }
}

/// A handshake of the gateway's own page, with more headers at the end.
pub(crate) fn handshake(address: &str, fields: &str) -> String {
    format!(
        "GET /chat?room=1 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// The response of an upstream that accepts, with more headers at the end.
pub(crate) fn accepting(head: &str, fields: &str) -> String {
    let key = field(head, "sec-websocket-key").unwrap();
    let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    )
}

/// The joined values of a header in a head.
pub(crate) fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let values: Vec<_> =
        lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

/// The status of a response.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).expect("a status line").parse().unwrap()
}
