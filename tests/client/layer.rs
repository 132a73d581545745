//! The client and the layer, over sockets.

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use ws_handshake::{ClientErrorKind, PermessageDeflate, WsRequest, WsStream, connect_http2};

use crate::support::{app, converse, serve};

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
