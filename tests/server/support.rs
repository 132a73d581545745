//! A server on a free port, and a client that sends what it is told, byte by byte.

use std::{fmt::Display, net::SocketAddr, time::Duration};

use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// More than anything here takes, and less than a person waits.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The answer to [`Handshake::valid`]'s key (RFC 6455 §1.3).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Serves `app` by `axum::serve` for as long as the test runs.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// What handlers have to say, in the order in which it happened.
pub(crate) struct Events(mpsc::UnboundedReceiver<String>);

#[derive(Clone)]
pub(crate) struct Report(mpsc::UnboundedSender<String>);

pub(crate) fn events() -> (Report, Events) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Report(sender), Events(receiver))
}

impl Report {
    pub(crate) fn say(&self, event: impl Display) {
        let _ = self.0.send(event.to_string());
    }
}

impl Events {
    pub(crate) async fn next(&mut self) -> String {
        timeout(SOON, self.0.recv()).await.expect("nothing happens").expect("nothing can happen any more")
    }

    /// What has happened by now and was not asked for.
    pub(crate) fn unread(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// The text of a handshake, right in every way until something is changed.
#[derive(Clone)]
pub(crate) struct Handshake {
    line: String,
    fields: Vec<(String, String)>,
}

impl Handshake {
    pub(crate) fn valid() -> Self {
        let fields = [
            ("host", "example.com"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("origin", "https://example.com"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { line: "GET /ws HTTP/1.1".into(), fields }
    }

    pub(crate) fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    pub(crate) fn to(self, path: &str) -> Self {
        self.line(&format!("GET {path} HTTP/1.1"))
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).add(name, value)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        (text + "\r\n").into_bytes()
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
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Connects, sends the handshake and reads the head of the answer.
    pub(crate) async fn handshake(address: SocketAddr, handshake: &Handshake) -> (Self, Head) {
        let mut client = Self::connect(address).await;
        client.send(&handshake.bytes()).await;
        let head = client.head().await;
        (client, head)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> Head {
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
                return head;
            }
            assert!(self.more().await > 0, "the connection ended within the head: {:?}", self.read);
        }
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await > 0, "the connection ended early: {:?}", self.read);
        }
        self.read.drain(..length).collect()
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.read)
    }

    async fn more(&mut self) -> usize {
        match timeout(SOON, self.stream.read_buf(&mut self.read)).await.expect("nothing is sent") {
            Ok(read) => read,
            // A server that closes with our bytes unread resets the connection: an end like any other.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Accepts by going straight on, and sends back what it reads until the client has finished.
pub(crate) async fn echo(mut stream: ws_handshake::WsStream) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// The same by `on_upgrade`.
pub(crate) async fn echo_by_callback(ws: ws_handshake::WsUpgrade) -> axum::response::Response {
    ws.on_upgrade(echo)
}
