//! Subprotocols and extensions that a handler selects from what the client offers.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::any,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use ws_handshake::{NotOffered, PermessageDeflate, Subprotocols, WsHandshakeLayer, WsUpgrade, testing::TestServer};

use crate::{
    common::{Report, events},
    http_version::Over,
};

#[tokio::test]
async fn a_handler_selects_among_what_is_offered_and_spoken() {
    async fn selects(State(report): State<Report>, mut ws: WsUpgrade) -> Response {
        let offered: Vec<_> = ws.offered_subprotocols().map(String::from).collect();
        report.say(offered.join(" "));
        for name in ["unknown", "unoffered", "v1"] {
            report.say(format!("{name} {}", ws.select_subprotocol(name) == Ok::<(), NotOffered>(())));
        }
        let subprotocol = ws.subprotocol().map(String::from);
        ws.on_upgrade(async move |stream| report.say(format!("{subprotocol:?} {:?}", stream.subprotocol())))
    }
    let (report, mut events) = events();
    let layer = || WsHandshakeLayer::new();
    let spoken = Subprotocols::new(["v2", "v1", "unoffered"]).unwrap();
    let app = Router::new()
        .route("/spoken", any(selects).layer(layer().subprotocols(spoken)))
        .route("/free", any(selects).layer(layer()))
        .with_state(report);
    let server = TestServer::new(app);
    let rows = [("/spoken", false), ("/free", true)];
    for (over, (path, unknown)) in Over::ALL.into_iter().flat_map(|over| rows.map(|row| (over, row))) {
        let offering = over.ask(&server, path).subprotocols(["unknown", "v1", "v2"]);
        let (stream, _) = offering.connect().await.unwrap();
        assert_eq!(stream.subprotocol(), Some("v1"), "{path}");
        assert_eq!(events.next().await, "unknown v1 v2");
        assert_eq!(events.next().await, format!("unknown {unknown}"));
        assert_eq!(events.next().await, "unoffered false");
        assert_eq!(events.next().await, "v1 true");
        assert_eq!(events.next().await, "Some(\"v1\") Some(\"v1\")");
    }
}

#[tokio::test]
async fn a_handler_declines_what_the_layer_selected() {
    async fn declines(mut ws: WsUpgrade) -> Response {
        assert_eq!(ws.subprotocol(), Some("v1"));
        ws.decline_subprotocol();
        ws.on_upgrade(async |stream| assert_eq!(stream.subprotocol(), None))
    }
    let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v1"]).unwrap());
    let server = TestServer::new(Router::new().route("/ws", any(declines)).layer(layer));
    for over in Over::ALL {
        let (_, answer) = over.ask(&server, "/ws").subprotocols(["v1"]).connect().await.unwrap();
        assert!(!answer.headers().contains_key("sec-websocket-protocol"), "{over:?}");
    }
}

#[tokio::test]
async fn a_handler_selects_extensions_within_the_offers() {
    /// As a gateway does, whose upstream has agreed on the terms in `x-answer`.
    async fn selects(State(report): State<Report>, headers: HeaderMap, mut ws: WsUpgrade) -> Response {
        let answer = headers["x-answer"].clone();
        if let Err(error) = ws.select_extensions(&headers, answer) {
            return (StatusCode::BAD_GATEWAY, error.to_string()).into_response();
        }
        report.say(ws.deflate().is_some());
        if headers.contains_key("x-declines") {
            ws.decline_deflate();
        }
        ws.on_upgrade(async move |stream| report.say(stream.deflate().is_some()))
    }
    let (report, mut events) = events();
    let deflate = PermessageDeflate::new().server_no_context_takeover(true);
    let layer = WsHandshakeLayer::new().permessage_deflate(deflate);
    let server = TestServer::new(Router::new().route("/ws", any(selects)).layer(layer).with_state(report));
    let offers = "permessage-deflate; client_max_window_bits, x-other; a=b";
    for over in Over::ALL {
        let ask = |answer: &str| over.ask(&server, "/ws").extensions(offers).header("x-answer", answer);
        // Instead of what the layer had agreed on.
        for (answer, deflate) in [
            ("permessage-deflate; client_max_window_bits=10", true),
            ("x-other; a=b", false),
            ("x-other, permessage-deflate", true),
        ] {
            let (stream, head) = ask(answer).connect().await.unwrap();
            assert_eq!(
                (&head.headers()["sec-websocket-extensions"], stream.deflate().is_some()),
                (&HeaderValue::from_str(answer).unwrap(), deflate)
            );
            assert_eq!([events.next().await, events.next().await], [deflate.to_string(), deflate.to_string()]);
        }
        for answer in ["x-unknown", "permessage-deflate; server_max_window_bits=7", "permessage-deflate;"] {
            let refusal = ask(answer).connect().await.unwrap_err();
            assert_eq!(
                refusal.body(),
                "the extensions are not offered by the client, or not on these terms",
                "{answer}"
            );
        }
        let (stream, head) = ask("permessage-deflate").header("x-declines", "yes").connect().await.unwrap();
        assert_eq!((head.headers().get("sec-websocket-extensions"), stream.deflate()), (None, None));
        assert_eq!([events.next().await, events.next().await], ["true", "false"]);
    }
}

/// Only a layer that has secrets to take out writes the header anew.
#[tokio::test]
async fn a_handler_sees_the_offers_as_they_were_sent() {
    async fn lines(State(report): State<Report>, headers: HeaderMap, _ws: WsUpgrade) {
        report.say(format!("{:?}", headers.get_all("sec-websocket-protocol").iter().collect::<Vec<_>>()));
    }
    let connection = |layer: WsHandshakeLayer, report: &Report| {
        let app = Router::new().route("/ws", any(lines)).layer(layer).with_state(report.clone());
        let (client, server) = tokio::io::duplex(4096);
        let service = hyper_util::service::TowerToHyperService::new(app);
        let builder = hyper::server::conn::http1::Builder::new();
        let serving = builder.serve_connection(hyper_util::rt::TokioIo::new(server), service).with_upgrades();
        tokio::spawn(async move { drop(serving.await) });
        client
    };
    let request = "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: bearer.x\r\n\r\n";
    let spoken = || Subprotocols::new(["v1"]).unwrap();
    let (report, mut events) = events();
    for (subprotocols, seen) in [
        (spoken(), r#"["v1", "bearer.x"]"#),
        (spoken().secret_prefix("bearer.").unwrap(), r#"["v1"]"#),
        (spoken().secret_prefix("other.").unwrap(), r#"["v1", "bearer.x"]"#),
    ] {
        let mut client = connection(WsHandshakeLayer::new().subprotocols(subprotocols), &report);
        tokio::io::AsyncWriteExt::write_all(&mut client, request.as_bytes()).await.unwrap();
        assert_eq!(events.next().await, seen);
    }
}
