//! What is of HTTP/2 alone: many sockets on one connection, resets, windows, and answers that would accept.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    response::Html,
    routing::{any, get},
};
use futures_util::future::join_all;
use h2::{Reason, client};
use http::StatusCode;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{sleep, timeout},
};
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, Report, SOON, echo, echo_by_callback, events, http2, serve};

#[tokio::test]
async fn only_an_acceptance_opens_the_socket() {
    let app = Router::new()
        .route("/page", any(async || Html("<p>a page")))
        .route("/json", any(async || Json([1, 2, 3])))
        .route("/length", any(async || ([("content-length", "6")], Body::from("a page"))))
        .route("/created", any(async || (StatusCode::CREATED, "made")))
        .route("/bare-created", any(async || StatusCode::CREATED))
        .route("/bare-no-content", any(async || StatusCode::NO_CONTENT))
        .route("/file", any(async || ([("content-disposition", "attachment")], Body::from("a page"))))
        .route("/tagged", any(async || ([("etag", "\"x\"")], Body::from("a page"))))
        .route(
            "/stream",
            any(async || Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("a page")]))),
        )
        .route("/taken", any(async |_: WsUpgrade| ()))
        .route("/no-content", any(async |_: WsUpgrade| StatusCode::NO_CONTENT))
        .route("/option", any(async |ws: Option<WsUpgrade>| Html(if ws.is_some() { "a socket" } else { "a page" })))
        .route("/switching", any(async || StatusCode::SWITCHING_PROTOCOLS))
        .route("/unauthorized", any(async |_: WsUpgrade| (StatusCode::UNAUTHORIZED, "who are you?")))
        .route("/elsewhere", any(async |_: WsUpgrade| (StatusCode::FOUND, [("location", "/login")])))
        .route("/get", get(async || "never asked for by CONNECT"))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    let rows = [
        ("/page", 406),
        ("/json", 406),
        ("/length", 406),
        ("/created", 406),
        ("/bare-created", 406),
        ("/bare-no-content", 406),
        ("/file", 406),
        ("/tagged", 406),
        ("/stream", 406),
        ("/taken", 406),
        ("/no-content", 406),
        ("/option", 406),
        ("/switching", 500),
        ("/unauthorized", 401),
        ("/elsewhere", 302),
        ("/get", 405),
        ("/nowhere", 404),
    ];
    for (path, status) in rows {
        let (mut client, head) = Over::Http2.handshake(address, &Handshake::valid().to(path)).await;
        assert_eq!((head.status, head.get("connection"), head.get("upgrade")), (status, None, None), "{path}");
        client.rest().await;
    }
    // Whoever asks for no socket gets all of them.
    for (path, status) in [("/page", 200), ("/json", 200), ("/created", 201), ("/option", 200), ("/get", 200)] {
        let (mut client, head) = Over::Http2.handshake(address, &Handshake::page(path)).await;
        assert_eq!(head.status, status, "{path}");
        assert!(!client.rest().await.is_empty(), "{path}");
    }
}

/// axum takes the body from a 2xx to `CONNECT`. Other services leave it.
#[tokio::test]
async fn a_body_without_axum_opens_no_socket_either() {
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    let page = async |_: http::Request<Incoming>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::from("a page")))
    };
    let service = tower::ServiceBuilder::new().layer(WsHandshakeLayer::new()).service(tower::service_fn(page));
    let address = serve_with(auto(), service).await;
    let (mut client, head) = Over::Http2.handshake(address, &Handshake::valid()).await;
    assert_eq!((head.status, head.get("content-length")), (406, Some("6")));
    assert_eq!(client.rest().await, b"a page");
}

#[tokio::test]
async fn the_protocol_is_known_in_any_case_and_a_key_is_ignored() {
    let app = Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for protocol in ["websocket", "WebSocket", "WEBSOCKET"] {
        let mut request = Handshake::valid().protocol(Some(protocol)).request();
        for key in ["dGhlIHNhbXBsZSBub25jZQ==", "not a key"] {
            request.headers_mut().append("sec-websocket-key", key.parse().unwrap());
        }
        let (mut sender, mut receiver) = http2::ask(&mut http2::connect(address).await, request);
        receiver.answer().await.unwrap().accepts(Over::Http2, protocol);
        sender.send(b"hello").await.unwrap();
        let mut read = Vec::new();
        assert_eq!((receiver.more(&mut read).await, read.as_slice()), (5, &b"hello"[..]));
    }
}

/// RFC 8441 §5: a TCP connection that is reset becomes a stream that is reset with `CANCEL`.
#[tokio::test]
async fn resets_and_ends_reach_the_handler() {
    async fn reads(State(report): State<Report>, mut stream: WsStream) {
        let mut bytes = Vec::new();
        report.say(match stream.read_to_end(&mut bytes).await {
            Ok(read) => format!("{read} bytes"),
            Err(error) => format!("error: {error}"),
        });
        // The write that meets a reset may be one of the next.
        let mut writes = "writes go on";
        for _ in 0..40 {
            if stream.write_all(b"x").await.is_err() {
                writes = "writes fail";
            }
            sleep(Duration::from_millis(5)).await;
        }
        report.say(writes);
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(reads)).layer(WsHandshakeLayer::new()).with_state(report);
    let address = serve(app).await;
    let rows = [
        (None, "3 bytes", "writes go on"),
        // hyper reads these two as the end of the stream.
        (Some(Reason::CANCEL), "3 bytes", "writes fail"),
        (Some(Reason::NO_ERROR), "3 bytes", "writes fail"),
        (Some(Reason::PROTOCOL_ERROR), "error: ", "writes fail"),
        (Some(Reason::INTERNAL_ERROR), "error: ", "writes fail"),
    ];
    let mut connection = http2::connect(address).await;
    for (reason, read, written) in rows {
        let mut client = Client::on(&mut connection, &Handshake::valid());
        client.head().await.accepts(Over::Http2, "to be reset");
        client.send(b"abc").await;
        sleep(Duration::from_millis(20)).await;
        match reason {
            Some(reason) => client.reset(reason),
            None => client.finish().await,
        }
        assert!(events.next().await.starts_with(read), "{reason:?}");
        assert_eq!(events.next().await, written, "{reason:?}");
    }
}

/// However much a handler writes at once, what waits for a client that does not read is its window and a few frames.
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_writer_back() {
    async fn writes(State(report): State<Report>, mut stream: WsStream) {
        let message = vec![7; 1 << 20];
        let mut written = 0;
        while let Ok(Ok(write @ 1..)) = timeout(Duration::from_millis(200), stream.write(&message[written..])).await {
            written += write;
        }
        report.say(written);
        stream.write_all(&message[written..]).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(writes)).layer(WsHandshakeLayer::new()).with_state(report);
    let (mut client, _) = Over::Http2.handshake(serve(app).await, &Handshake::valid()).await;
    let written: usize = events.next().await.parse().unwrap();
    // RFC 9113 §6.5.2: the initial window is 65,535 bytes, and a frame has 16,384 at most.
    assert!((65_535..=65_535 + 4 * 16_384).contains(&written), "{written} bytes");
    assert_eq!(client.rest().await.len(), 1 << 20);
}

fn auto() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Without this no client may send an extended `CONNECT`.
    server.http2().enable_connect_protocol();
    server
}

/// Serves by hyper-util, whose settings `axum::serve` keeps to itself.
async fn serve_with<S, B>(server: auto::Builder<TokioExecutor>, service: S) -> SocketAddr
where
    S: tower::Service<http::Request<hyper::body::Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
    B: hyper::body::Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (server, service) = (server.clone(), TowerToHyperService::new(service.clone()));
            tokio::spawn(async move {
                drop(server.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn axum_server_serves_it_once_it_is_told_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = axum_server::from_tcp(listener).unwrap();
    server.http_builder().http2().enable_connect_protocol();
    let app = Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new());
    tokio::spawn(server.serve(app.into_make_service()));
    for over in Over::ALL {
        let (mut client, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "axum-server");
        client.send(b"hello").await;
        assert_eq!(client.exactly(5).await, b"hello");
    }
}

const KIB: u32 = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sockets_on_one_connection_and_stalled_ones_among_them() {
    async fn never_reads(mut stream: WsStream) {
        stream.write_all(b"deaf").await.unwrap();
        std::future::pending::<()>().await;
    }
    let mut server = auto();
    // The window of the connection has room for many sockets whose handlers do not read.
    let mut http2 = server.http2();
    http2.max_concurrent_streams(2000).initial_stream_window_size(64 * KIB).initial_connection_window_size(4096 * KIB);
    let app = Router::new()
        .route("/straight", any(echo))
        .route("/callback", any(echo_by_callback))
        .route("/deaf", any(never_reads))
        .layer(WsHandshakeLayer::new());
    let address = serve_with(server, app).await;
    let mut client = client::Builder::new();
    client.initial_window_size(64 * KIB).initial_connection_window_size(4096 * KIB);
    let mut connection = http2::connect_with(address, &mut client).await;

    // One client that writes and does not read, and one handler that does not read.
    let large = vec![7; 1 << 20];
    let mut stalled = Vec::new();
    for path in ["/straight", "/deaf"] {
        let mut client = Client::on(&mut connection, &Handshake::valid().to(path));
        client.head().await.accepts(Over::Http2, path);
        let (mut sender, receiver) = client.split();
        let large = large.clone();
        let sending = tokio::spawn(async move {
            sender.send(&large).await.unwrap();
            sender.finish().await;
        });
        stalled.push((sending, receiver));
    }

    let mut clients = Vec::new();
    for n in 0..1000 {
        poll_fn(|cx| connection.poll_ready(cx)).await.unwrap();
        let path = if n % 2 == 0 { "/straight" } else { "/callback" };
        clients.push(Client::on(&mut connection, &Handshake::valid().to(path)));
    }
    let echoes = clients.into_iter().enumerate().map(async |(n, mut client)| {
        client.head().await.accepts(Over::Http2, "one of a thousand");
        for round in 0..3 {
            let said = format!("{n:08} {round}");
            client.send(said.as_bytes()).await;
            assert_eq!(client.exactly(said.len()).await, said.as_bytes());
        }
        client
    });
    let clients = timeout(6 * SOON, join_all(echoes)).await.expect("the stalled ones harm the others");
    assert_eq!(clients.len(), 1000);

    for (sending, _) in &stalled {
        assert!(!sending.is_finished(), "it was not stalled");
    }
    let (sending, mut receiver) = stalled.remove(0);
    assert!(receiver.rest().await == large);
    sending.await.unwrap();
}
