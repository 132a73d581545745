//! Several layers, one inside the other: only the outermost one hands the stream over.

use axum::{
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use ws_handshake::{WsHandshakeLayer, WsUpgrade};

use crate::support::{Handshake, both_forms, events, forms, saying_how_it_ends, serve};

#[tokio::test]
async fn only_the_outermost_layer_hands_the_stream_over() {
    // Between the two layers somebody replaces the answer: the stream stays shut, for both forms.
    let (report, mut events) = events();
    let replace = from_fn(async |request: Request, next: Next| {
        let _ = next.run(request).await;
        Response::new(Body::from("replaced"))
    });
    let app = saying_how_it_ends()
        .layer(WsHandshakeLayer::new())
        .layer(replace)
        .layer(WsHandshakeLayer::new())
        .with_state(report);
    let address = serve(app).await;
    for (over, path) in forms() {
        let (mut client, head) =
            over.handshake(address, &Handshake::valid().to(path).set("connection", "upgrade, close")).await;
        assert_eq!((head.status, head.get("connection")), (over.pick(200, 406), over.closing()), "{path}");
        // Of a page that answers a `CONNECT` axum leaves nothing.
        assert_eq!(client.rest().await, over.pick("replaced", "").as_bytes());
        assert_eq!(events.next().await, "Some(NotAnswered)", "{path}");
    }
}

#[tokio::test]
async fn a_handshake_taken_between_two_layers_is_500_inside() {
    // Somebody looks at the handshake between the layers, lets the request on, and answers 401.
    let peek = from_fn(async |mut request: Request, next: Next| {
        drop(WsUpgrade::take_from(&mut request).unwrap());
        let inner = next.run(request).await;
        (http::StatusCode::UNAUTHORIZED, inner.status().to_string())
    });
    let app = both_forms().layer(WsHandshakeLayer::new()).layer(peek).layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for (over, path) in forms() {
        let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
        assert_eq!((head.status, head.get("connection")), (401, over.closing()), "{path}");
        assert_eq!(client.rest().await, b"500 Internal Server Error", "{path}");
    }
}
