//! The client and the layer, over sockets and in memory.

use std::time::Duration;

use axum::{Router, routing::any};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use ws_handshake::{
    ClientErrorKind, PermessageDeflate, Subprotocols, WsHandshakeLayer, WsRequest, WsStream, connect_http2,
    testing::TestServer,
};

use crate::support::SOON;

async fn echo(stream: WsStream) {
    let (mut read, mut write) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

fn app() -> Router {
    let layer = WsHandshakeLayer::new()
        .subprotocols(Subprotocols::new(["v1.chat"]).unwrap())
        .permessage_deflate(PermessageDeflate::new());
    Router::new().route("/chat", any(echo)).layer(layer)
}

async fn converse(mut stream: WsStream) {
    for said in [&b"hello"[..], &vec![b'x'; 100_000]] {
        let (mut read, mut write) = tokio::io::split(stream);
        let mut echoed = vec![0; said.len()];
        let (written, read_back) = tokio::join!(write.write_all(said), read.read_exact(&mut echoed));
        written.unwrap();
        read_back.unwrap();
        assert!(echoed == said);
        stream = read.unsplit(write);
    }
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut [0])).await.unwrap().unwrap(), 0);
}

async fn serve(app: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn both_ends_agree_over_sockets() {
    let address = serve(app()).await;
    let same_origin = || {
        WsRequest::new(format!("ws://{address}/chat"))
            .origin(format!("http://{address}"))
            .subprotocols(["v2.chat", "v1.chat"])
            .permessage_deflate(PermessageDeflate::new())
    };
    let tcp = async || TcpStream::connect(address).await.unwrap();
    let agreed = |stream: &WsStream| {
        assert_eq!(stream.subprotocol(), Some("v1.chat"));
        assert_eq!(stream.deflate().unwrap().to_string(), "permessage-deflate");
    };
    let (stream, response) = same_origin().connect(tcp().await).await.unwrap();
    assert_eq!(response.status(), 101);
    agreed(&stream);
    converse(stream).await;
    let (stream, _) = same_origin().connect(tcp().await).await.unwrap();
    let parts = stream.downcast::<TokioIo<TcpStream>>().expect("the socket below");
    assert_eq!(parts.io.inner().peer_addr().unwrap(), address);

    let mut connection = connect_http2::<_, String>(tcp().await).await.unwrap();
    let (stream, response) = same_origin().connect_over_http2(&mut connection).await.unwrap();
    assert_eq!(response.status(), 200);
    agreed(&stream);
    let (another, _) = same_origin().connect_over_http2(&mut connection).await.unwrap();
    // The streams keep their connection.
    drop(connection);
    converse(another).await;
    converse(stream).await;
}

#[tokio::test]
async fn refusals_are_those_of_the_layer() {
    let address = serve(app()).await;
    let mut connection = connect_http2::<_, String>(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let url = format!("ws://{address}/chat");
    let foreign = || WsRequest::new(&url).origin("https://evil.example");
    for over_http1 in [true, false] {
        let connected = if over_http1 {
            foreign().connect(TcpStream::connect(address).await.unwrap()).await
        } else {
            foreign().connect_over_http2(&mut connection).await
        };
        let error = connected.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Refused);
        let response = error.response().unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.body(), &"pages of this origin may not connect");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let (stream, _) = WsRequest::new(&url).connect_over_http2(&mut connection).await.unwrap();
    converse(stream).await;
}

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

#[tokio::test]
async fn in_memory_it_is_the_same() {
    let server = TestServer::new(app());
    for http2 in [false, true] {
        let ask = |origin: &str| {
            let asked = server.ws("/chat").origin(origin).subprotocols(["v1.chat"]);
            if http2 { asked.http2() } else { asked }
        };
        let secure = if http2 { "wss://app.example.com/chat" } else { "ws://app.example.com/chat" };
        let (stream, response) = ask("http://localhost").connect().await.unwrap();
        assert_eq!(response.status(), if http2 { 200 } else { 101 });
        assert_eq!(response.headers()["sec-websocket-protocol"], "v1.chat");
        converse(stream).await;
        // Over HTTP/2 the request itself says that it came by https.
        let downgraded = server.ws(secure).origin("http://app.example.com");
        let downgraded = if http2 { downgraded.http2() } else { downgraded }.connect().await;
        assert_eq!(downgraded.is_err_and(|refusal| refusal.status() == 403), http2);
        let named = server.ws(secure).origin("https://app.example.com");
        assert!(if http2 { named.http2() } else { named }.connect().await.is_ok());
        let other = server.ws("/chat").header("host", "app.example.com").origin("http://app.example.com");
        assert!(if http2 { other.http2() } else { other }.connect().await.is_ok());
    }
    let refusal = server.ws("/elsewhere").connect().await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), &refusal.headers()["connection"]), (404, &"close".parse().unwrap()));
}

#[tokio::test]
#[should_panic(expected = "layer.rs:")]
async fn no_answer_in_memory_is_a_panic() {
    async fn panics(_ws: ws_handshake::WsUpgrade) {
        panic!("before the answer");
    }
    let app = Router::new().route("/", any(panics));
    let app = app.layer(WsHandshakeLayer::new());
    let error = TestServer::new(app.clone()).ws("/").try_connect().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::ConnectionFailed);
    drop(TestServer::new(app).ws("/").connect().await);
}

#[tokio::test]
#[should_panic(expected = "the request is invalid: `nowhere` is no path: write `/nowhere`")]
async fn a_request_written_wrongly_is_a_panic() {
    drop(TestServer::new(app()).ws("nowhere").connect().await);
}

/// A handler that never accepts, in no time at all.
#[tokio::test(start_paused = true)]
async fn timeouts_take_no_time_in_memory() {
    let never = async |ws: ws_handshake::WsUpgrade| {
        std::future::pending::<()>().await;
        drop(ws);
    };
    let server = TestServer::new(Router::new().route("/", any(never)).layer(WsHandshakeLayer::new()));
    let start = Instant::now();
    let error = server.ws("/").timeout(Duration::from_secs(3600)).try_connect().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
}
