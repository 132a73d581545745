//! The byte stream in the handler.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, extract::State, routing::any};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter},
    net::{TcpListener, TcpStream, UnixStream},
};
use ws_handshake::{WsHandshakeLayer, WsStream};

use crate::support::{Client, Handshake, Over, Report, echo, events, serve};

#[tokio::test]
async fn early_bytes_come_first() {
    let address = serve(Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new())).await;
    let early = vec![b'x'; 5000];
    for over in Over::ALL {
        let mut client = over.ask(address, &Handshake::valid(), &early).await;
        client.head().await.accepts(*over, "early bytes");
        client.send(b"later").await;
        assert_eq!(client.exactly(5005).await, [&early[..], b"later"].concat());
    }
}

#[tokio::test]
async fn each_half_closes_by_itself() {
    async fn answers_at_the_end(mut stream: WsStream) {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        said.reverse();
        stream.write_all(&said).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    async fn closes_first(State(report): State<Report>, mut stream: WsStream) {
        stream.shutdown().await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        report.say(said);
    }
    let (report, mut events) = events();
    let app = Router::new().route("/end", any(answers_at_the_end)).route("/first", any(closes_first));
    let address = serve(app.layer(WsHandshakeLayer::new()).with_state(report)).await;

    for over in Over::ALL {
        let (mut client, _) = over.handshake(address, &Handshake::valid().to("/end")).await;
        client.send(b"abc").await;
        client.finish().await;
        assert_eq!(client.rest().await, b"cba");

        let (mut client, _) = over.handshake(address, &Handshake::valid().to("/first")).await;
        assert_eq!(client.rest().await, b"");
        client.send(b"still heard").await;
        client.finish().await;
        assert_eq!(events.next().await, "still heard");
    }
}

#[tokio::test]
async fn large_messages_go_both_ways() {
    let address = serve(Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new())).await;
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for over in Over::ALL {
        let (client, _) = over.handshake(address, &Handshake::valid()).await;
        let (mut write, mut read) = client.split();
        let (received, ()) = tokio::join!(read.rest(), async {
            write.send(&sent).await.unwrap();
            write.finish().await;
        });
        assert!(received == sent, "{over:?}: {} bytes", received.len());
    }
}

/// An IO that counts the buffers of each vectored write.
struct Counting<T> {
    io: T,
    most: Arc<AtomicUsize>,
}

impl<T: Read + Unpin> Read for Counting<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Counting<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.most.fetch_max(bufs.len(), Ordering::SeqCst);
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

async fn writes_pieces(mut stream: WsStream) {
    assert!(stream.is_write_vectored());
    let pieces = [b"one ", b"two ", b"thre"].map(|piece| IoSlice::new(piece));
    assert_eq!(stream.write_vectored(&pieces).await.unwrap(), 12);
}

#[tokio::test]
async fn vectored_writes_reach_the_socket() {
    let app = Router::new().route("/ws", any(writes_pieces)).layer(WsHandshakeLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap()).await;
    let (socket, _) = listener.accept().await.unwrap();
    let most = Arc::new(AtomicUsize::new(0));
    let io = Counting { io: TokioIo::new(socket), most: Arc::clone(&most) };
    let server = hyper::server::conn::http1::Builder::new();
    tokio::spawn(server.serve_connection(io, TowerToHyperService::new(app)).with_upgrades());
    client.send(&Handshake::valid().bytes()).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.rest().await, b"one two thre");
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn over_http2_a_stream_writes_one_buffer_at_a_time() {
    let is_vectored = async |State(report): State<Report>, stream: WsStream| report.say(stream.is_write_vectored());
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(is_vectored)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new())).await;
    for over in Over::ALL {
        let _client = over.handshake(address, &Handshake::valid()).await;
        assert_eq!(events.next().await, over.pick("true", "false"));
    }
}

#[tokio::test]
async fn a_flush_goes_down_to_the_socket() {
    async fn flushes(mut stream: WsStream) {
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        std::future::pending::<()>().await;
    }
    let app = Router::new().route("/ws", any(flushes)).layer(WsHandshakeLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap()).await;
    let (socket, _) = listener.accept().await.unwrap();
    let server = hyper::server::conn::http1::Builder::new();
    let io = TokioIo::new(BufWriter::new(socket));
    tokio::spawn(server.serve_connection(io, TowerToHyperService::new(app)).with_upgrades());
    client.send(&Handshake::valid().bytes()).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.exactly(5).await, b"hello");
}

/// Takes the socket itself, says what was read early, and goes on with it.
async fn downcasts(State(report): State<Report>, stream: WsStream) {
    let stream = stream.downcast::<TokioIo<UnixStream>>().expect_err("it is no Unix socket");
    let parts = stream.downcast::<TokioIo<TcpStream>>().expect("it is a TCP socket");
    report.say(String::from_utf8_lossy(&parts.read_buf));
    let mut socket = parts.io.into_inner();
    socket.set_nodelay(true).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).await.unwrap();
    report.say(said);
    socket.write_all(b"from the socket").await.unwrap();
}

#[tokio::test]
async fn downcast_gives_the_socket_and_the_early_bytes() {
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(downcasts)).layer(WsHandshakeLayer::new()).with_state(report);
    let under_axum = serve(app.clone()).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let under_hyper = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let server = hyper::server::conn::http1::Builder::new();
        server.serve_connection(TokioIo::new(socket), TowerToHyperService::new(app)).with_upgrades().await
    });

    for address in [under_axum, under_hyper] {
        let mut client = Client::connect(address).await;
        client.send(&[&Handshake::valid().bytes()[..], b"early"].concat()).await;
        assert_eq!(client.head().await.status, 101);
        assert_eq!(events.next().await, "early");
        client.send(b"late").await;
        client.finish().await;
        assert_eq!(events.next().await, "late");
        assert_eq!(client.rest().await, b"from the socket");
    }
}

#[tokio::test]
async fn taken_apart_it_keeps_what_was_read_early() {
    async fn parts(State(report): State<Report>, stream: WsStream) {
        let parts = stream.into_parts();
        report.say(format!("{:?}", parts.subprotocol));
        let mut bytes = [0; 5];
        TokioIo::new(parts.upgraded).read_exact(&mut bytes).await.unwrap();
        report.say(String::from_utf8_lossy(&bytes));
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(parts)).layer(WsHandshakeLayer::new()).with_state(report);
    let address = serve(app).await;
    for over in Over::ALL {
        let _client = over.ask(address, &Handshake::valid(), b"early").await;
        assert_eq!(events.next().await, "None");
        assert_eq!(events.next().await, "early");
    }
}
