//! The client over HTTP/2, to servers that cannot do what it needs or that answer something else.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
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

#[tokio::test]
async fn another_2xx_over_http2_is_a_refusal_that_can_be_read() {
    let app = Router::new().fallback(async || (http::StatusCode::CREATED, "made"));
    let address = serve(app).await;
    let mut connection = connect_http2::<_, String>(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let error = WsRequest::new("ws://x/").connect_over_http2(&mut connection).await.unwrap_err();
    assert_eq!((error.kind(), error.response().unwrap().status().as_u16()), (ClientErrorKind::Refused, 201));
}
