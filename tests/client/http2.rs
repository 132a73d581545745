//! The client over HTTP/2, to servers that cannot do what it needs or that answer something else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, duplex, split},
    net::TcpStream,
    time::Instant,
};
use ws_handshake::{ClientErrorKind, WsRequest, connect_http2};

use crate::support::serve;

#[tokio::test(start_paused = true)]
async fn a_server_without_extended_connect_is_found_out() {
    let (client, server) = duplex(1 << 16);
    let service = hyper::service::service_fn(async |_| Ok::<_, hyper::Error>(http::Response::new(String::new())));
    let serving =
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), service);
    tokio::spawn(async move { drop(serving.await) });
    let start = Instant::now();
    let error = connect_http2::<_, String>(client).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::ExtendedConnectUnsupported);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_no_http2_is_found_out_at_once() {
    let (client, mut server) = duplex(1 << 16);
    tokio::spawn(async move {
        server.read_u8().await.unwrap();
        server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(server);
    });
    let start = Instant::now();
    let error = connect_http2::<_, String>(client).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ClientErrorKind::ConnectionFailed, 0));
    // One that takes nothing.
    let (client, _server) = duplex(8);
    let error = connect_http2::<_, String>(client).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ClientErrorKind::ExtendedConnectUnsupported, 10));
}

/// RFC 7541 §7.1.3: a header that is never indexed is written in full each time.
#[tokio::test]
async fn credentials_are_kept_out_of_the_tables_of_http2() {
    const SECRET: &str = "aHVudGVyMg.aHVudGVyMg.aHVudGVyMg.aHVudGVyMg.aHVudGVyMg.aHVudGVyMg";
    let address = serve(Router::new().fallback(async || http::StatusCode::FORBIDDEN)).await;
    let new = || WsRequest::new("ws://x/");
    let rows = [
        ("a header", new().header("x-mine", SECRET), false),
        ("a subprotocol", new().subprotocols(["v1.chat", SECRET]), true),
        ("another subprotocol", new().nonstandard_subprotocols([SECRET]), true),
        ("authorization", new().header("Authorization", SECRET), true),
        ("a cookie", new().header("cookie", SECRET), true),
        ("authorization for a proxy", new().header("proxy-authorization", SECRET), true),
    ];
    for (name, request, in_full) in rows {
        let (client, proxy) = duplex(1 << 16);
        let written = Arc::new(AtomicUsize::new(0));
        let (mut from_client, mut to_client) = split(proxy);
        let (mut from_server, mut to_server) = TcpStream::connect(address).await.unwrap().into_split();
        tokio::spawn(async move { drop(copy(&mut from_server, &mut to_client).await) });
        let counted = Arc::clone(&written);
        tokio::spawn(async move {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                counted.fetch_add(length, Ordering::Relaxed);
                to_server.write_all(&bytes[..length]).await.unwrap();
            }
        });
        let mut connection = connect_http2::<_, String>(client).await.unwrap();
        let mut ask = async || {
            let before = written.load(Ordering::Relaxed);
            let error = request.clone().connect_over_http2(&mut connection).await.unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::Refused, "{name}");
            written.load(Ordering::Relaxed) - before
        };
        ask().await;
        // The shortest code of HPACK has 5 bits.
        assert_eq!(ask().await > SECRET.len() * 5 / 8, in_full, "{name}");
    }
}

#[tokio::test]
async fn another_2xx_over_http2_is_a_refusal_that_can_be_read() {
    let app = Router::new().fallback(async || (http::StatusCode::CREATED, "made"));
    let address = serve(app).await;
    let mut connection = connect_http2::<_, String>(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let error = WsRequest::new("ws://x/").connect_over_http2(&mut connection).await.unwrap_err();
    assert_eq!((error.kind(), error.response().unwrap().status().as_u16()), (ClientErrorKind::Refused, 201));
}
