//! What a client opens: sockets and pages, as Chromium asks for them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http2::{Builder, SendRequest},
    ext::Protocol,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::yield_now,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName},
};

use super::server::{Server, Transport, certificate};

/// With the headers that Chromium sends. The page is not the server's own, and has to be looked up.
pub const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://app500.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; \
    client_max_window_bits\r\nSec-WebSocket-Protocol: v1.chat, v3.chat\r\n\r\n";

/// The handshake with so many subprotocols offered.
pub fn offering(subprotocols: u32) -> String {
    let names: Vec<_> = (1..=subprotocols).map(|n| format!("v{n}.chat")).collect();
    HANDSHAKE.replace("v1.chat, v3.chat", &names.join(", "))
}

/// A page, with a header of so many bytes more.
fn page(longer: usize) -> String {
    let longer = "x".repeat(longer);
    format!(
        "GET /page HTTP/1.1\r\nHost: api.example.com\r\nConnection: keep-alive\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 \
         Safari/537.36\r\nAccept: text/html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
         X-Longer: {longer}\r\n\r\n"
    )
}

/// Over HTTP/2 the key and the headers of the connection are left out.
const LEFT_OUT: [&str; 4] = ["host", "connection", "upgrade", "sec-websocket-key"];

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
pub type Socket = Box<dyn Stream>;

/// A client of a server. Over HTTP/2 it has a hundred sockets on each connection.
pub struct Client {
    address: SocketAddr,
    transport: Transport,
    connection: Option<(SendRequest<Empty<Bytes>>, u32)>,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        Self { address: server.address, transport: server.transport, connection: None }
    }

    /// Opens a socket.
    pub async fn open(&mut self) -> Socket {
        if self.transport.http2 {
            return Box::new(TokioIo::new(hyper::upgrade::on(self.ask(HANDSHAKE).await).await.expect("a stream")));
        }
        self.handshake(HANDSHAKE, StatusCode::SWITCHING_PROTOCOLS).await
    }

    /// Opens a connection of HTTP/1.1, sends a request, and reads the head of its answer.
    pub async fn handshake(&self, request: &str, status: StatusCode) -> Socket {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        read_until(&mut stream, b"\r\n\r\n", &format!("HTTP/1.1 {}", status.as_str())).await;
        stream
    }

    /// Opens a socket on a connection without TLS, for a thread of its own.
    pub async fn open_blocking(&self) -> std::net::TcpStream {
        let mut stream = tcp(self.address).await;
        stream.write_all(HANDSHAKE.as_bytes()).await.expect("sent");
        read_until(&mut stream, b"\r\n\r\n", "HTTP/1.1 101").await;
        let stream = stream.into_std().expect("a TCP stream");
        stream.set_nonblocking(false).expect("a TCP stream");
        stream
    }

    /// Asks for so many pages on one connection, with a header of so many bytes more.
    pub async fn pages(&mut self, count: u32, longer: usize) {
        let page = page(longer);
        if self.transport.http2 {
            for _ in 0..count {
                let body = self.ask(&page).await.into_body().collect().await.expect("a page");
                assert_eq!(body.to_bytes(), "page");
            }
            return;
        }
        let mut stream = self.connect().await;
        for _ in 0..count {
            stream.write_all(page.as_bytes()).await.expect("sent");
            read_until(&mut stream, b"\r\n\r\npage", "HTTP/1.1 200").await;
        }
    }

    async fn ask(&mut self, request: &str) -> Response<Incoming> {
        let is_handshake = request.contains("Upgrade: websocket");
        let mut built = Request::builder().version(Version::HTTP_2);
        built = if is_handshake {
            built.method(Method::CONNECT).extension(Protocol::from_static("websocket"))
        } else {
            built
        };
        let mut lines = request.lines();
        let path = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a path");
        built = built.uri(format!("https://api.example.com{path}"));
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if !LEFT_OUT.iter().any(|left_out| name.eq_ignore_ascii_case(left_out)) {
                built = built.header(name, value);
            }
        }
        let connection = match &mut self.connection {
            Some((connection, left @ 1..)) => {
                *left -= u32::from(is_handshake);
                connection
            }
            connection => {
                let made = http2(connect(self.address, self.transport).await).await;
                &mut connection.insert((made, 99)).0
            }
        };
        connection.ready().await.expect("a connection");
        let response = connection.send_request(built.body(Empty::new()).expect("a request")).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    async fn connect(&self) -> Socket {
        connect(self.address, self.transport).await
    }
}

/// Connects from one of many addresses, because each has a limited number of ports.
async fn tcp(address: SocketAddr) -> TcpStream {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [.., last] = (NEXT.fetch_add(1, Ordering::Relaxed) % 200).to_be_bytes();
    let connected = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, 1, last + 1), 0).into())?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        io::Result::Ok(stream)
    };
    connected.await.expect("it listens")
}

async fn connect(address: SocketAddr, transport: Transport) -> Socket {
    let stream = tcp(address).await;
    if !transport.tls {
        return Box::new(stream);
    }
    let config = Arc::clone(&CONFIGS[usize::from(transport.http2)]);
    let name = ServerName::try_from("localhost").expect("a name");
    Box::new(TlsConnector::from(config).connect(name, stream).await.expect("a TLS connection"))
}

/// For HTTP/1.1 and for HTTP/2.
static CONFIGS: LazyLock<[Arc<ClientConfig>; 2]> = LazyLock::new(|| [config(b"http/1.1"), config(b"h2")]);

/// Every handshake of TLS is a full one.
fn config(protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

async fn http2(stream: Socket) -> SendRequest<Empty<Bytes>> {
    let (requests, connection) =
        Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    let mut connection = Box::pin(connection);
    // RFC 8441 §3: no extended CONNECT before the settings have come.
    while !connection.is_extended_connect_protocol_enabled() {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(connection.as_mut().poll(cx))).await;
        assert!(polled.is_pending(), "{polled:?}");
        yield_now().await;
    }
    tokio::spawn(connection);
    requests
}

/// Reads until the end of an answer, which begins as it should.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8], beginning: &str) {
    let mut read = Vec::with_capacity(1024);
    while !read.windows(end.len()).any(|window| window == end) {
        assert!(stream.read_buf(&mut read).await.expect("an answer") > 0, "the connection ended");
    }
    assert!(read.starts_with(beginning.as_bytes()), "{}", String::from_utf8_lossy(&read));
}
