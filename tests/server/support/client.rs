//! A client that sends what it is told, over either version of HTTP.

use std::{io, net::SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    SOON,
    handshake::{ACCEPT, Handshake},
    http2,
};

/// Which version of HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Over {
    Http1,
    Http2,
}

impl Over {
    /// Those in which this build takes handshakes.
    pub(crate) const ALL: &[Self] = if cfg!(feature = "http2") { &[Self::Http1, Self::Http2] } else { &[Self::Http1] };

    /// Connects, sends the handshake and reads the head of the answer.
    pub(crate) async fn handshake(self, address: SocketAddr, handshake: &Handshake) -> (Client, Head) {
        let mut client = self.ask(address, handshake, b"").await;
        let head = client.head().await;
        (client, head)
    }

    /// Connects, and sends the handshake with bytes behind it, without waiting for an answer.
    pub(crate) async fn ask(self, address: SocketAddr, handshake: &Handshake, behind: &[u8]) -> Client {
        match self {
            Self::Http1 => {
                let mut client = Client::connect(address).await;
                client.send(&[&handshake.bytes(), behind].concat()).await;
                client
            }
            Self::Http2 => {
                let mut client = Client::on(&mut http2::connect(address).await, handshake);
                if !behind.is_empty() {
                    client.send(behind).await;
                }
                client
            }
        }
    }

    /// The status that accepts a handshake.
    pub(crate) fn accepted(self) -> u16 {
        match self {
            Self::Http1 => 101,
            Self::Http2 => 200,
        }
    }

    /// What closes the connection behind an answer that accepts nothing.
    pub(crate) fn closing(self) -> Option<&'static str> {
        (self == Self::Http1).then_some("close")
    }

    /// A status of HTTP/1.1, and the one that stands for it over HTTP/2.
    pub(crate) fn pick<T>(self, http1: T, http2: T) -> T {
        if self == Self::Http1 { http1 } else { http2 }
    }
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// That the handshake is accepted, as its version of HTTP has it.
    pub(crate) fn accepts(&self, over: Over, name: &str) {
        let connection = self.get("connection").map(str::to_ascii_lowercase);
        let fields = [self.get("sec-websocket-accept"), self.get("upgrade"), connection.as_deref()];
        let expected = over.pick((101, [Some(ACCEPT), Some("websocket"), Some("upgrade")]), (200, [None; 3]));
        assert_eq!((self.status, fields), expected, "{over:?}: {name}");
    }
}

pub(crate) struct Client {
    sender: Sender,
    receiver: Receiver,
}

pub(crate) enum Sender {
    Http1(OwnedWriteHalf),
    Http2(http2::Sender),
}

pub(crate) struct Receiver {
    wire: Wire,
    read: Vec<u8>,
}

enum Wire {
    Http1(OwnedReadHalf),
    Http2(http2::Receiver),
}

impl Client {
    /// Over HTTP/1.1.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        Self { sender: Sender::Http1(write), receiver: Receiver { wire: Wire::Http1(read), read: Vec::new() } }
    }

    /// Over HTTP/2, on a connection that may bear others too: sends the handshake, without waiting for an answer.
    pub(crate) fn on(connection: &mut http2::Connection, handshake: &Handshake) -> Self {
        let (sender, receiver) = http2::ask(connection, handshake.request());
        Self { sender: Sender::Http2(sender), receiver: Receiver { wire: Wire::Http2(receiver), read: Vec::new() } }
    }

    /// Over HTTP/1.1: connects, sends the handshake and reads the head of the answer.
    pub(crate) async fn handshake(address: SocketAddr, handshake: &Handshake) -> (Self, Head) {
        Over::Http1.handshake(address, handshake).await
    }

    pub(crate) fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.sender.send(bytes).await.unwrap();
    }

    /// Sends where the server may have closed already.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.sender.send(bytes).await;
    }

    pub(crate) async fn finish(&mut self) {
        self.sender.finish().await;
    }

    /// Resets the stream, over HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn reset(&mut self, reason: h2::Reason) {
        match &mut self.sender {
            Sender::Http1(_) => panic!("HTTP/1.1 has no streams to reset"),
            Sender::Http2(stream) => stream.reset(reason),
        }
    }

    pub(crate) async fn head(&mut self) -> Head {
        self.answer().await.expect("the server ends without an answer")
    }

    /// The head of the answer, if there is one.
    pub(crate) async fn answer(&mut self) -> Option<Head> {
        self.receiver.answer().await
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        self.receiver.exactly(length).await
    }

    /// Everything up to the end of the connection, or of its stream.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        self.receiver.rest().await
    }
}

impl Sender {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Http1(stream) => stream.write_all(bytes).await,
            Self::Http2(stream) => stream.send(bytes).await.map_err(io::Error::other),
        }
    }

    /// Closes the writing half.
    pub(crate) async fn finish(&mut self) {
        match self {
            Self::Http1(stream) => stream.shutdown().await.unwrap(),
            Self::Http2(stream) => stream.finish(),
        }
    }
}

impl Receiver {
    async fn answer(&mut self) -> Option<Head> {
        if let Wire::Http2(stream) = &mut self.wire {
            return timeout(SOON, stream.answer()).await.expect("nothing is sent");
        }
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut fields);
            if let httparse::Status::Complete(end) = response.parse(&self.read).expect("a response") {
                let field = |field: &httparse::Header<'_>| {
                    let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
                    (name, HeaderValue::from_bytes(field.value).unwrap())
                };
                let head =
                    Head { status: response.code.unwrap(), headers: response.headers.iter().map(field).collect() };
                self.read.drain(..end);
                return Some(head);
            }
            if self.more().await == 0 {
                assert!(self.read.is_empty(), "the connection ended within the head: {:?}", self.read);
                return None;
            }
        }
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await > 0, "the connection ended early: {:?}", self.read);
        }
        self.read.drain(..length).collect()
    }

    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.read)
    }

    async fn more(&mut self) -> usize {
        let reading = async {
            match &mut self.wire {
                Wire::Http1(stream) => match stream.read_buf(&mut self.read).await {
                    // A server that closes with our bytes unread resets the connection: an end like any other.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                    read => read.unwrap(),
                },
                Wire::Http2(stream) => stream.more(&mut self.read).await,
            }
        };
        timeout(SOON, reading).await.expect("nothing is sent")
    }
}
