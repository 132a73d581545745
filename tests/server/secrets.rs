//! Tokens that come in subprotocols.

use axum::{
    Router,
    extract::{Request, State, ws::WebSocketUpgrade},
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use http::HeaderMap;
use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::{
    support::log::{logged, trace},
    support::{Handshake, Over, Report, events, serve},
};

const SECRET: &str = "aHVudGVyMg";

fn offering(names: &str, path: &str) -> Handshake {
    Handshake::valid().to(path).add("sec-websocket-protocol", names)
}

/// Tells all that it can find out, and tries to select the secret.
async fn tells(State(report): State<Report>, headers: HeaderMap, mut ws: WsUpgrade) -> Response {
    let field = headers.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
    let offered: Vec<_> = ws.offered_subprotocols().collect();
    report.say(format!("field {field:?} offered {offered:?} secret {:?}", ws.secret_subprotocol("bearer.")));
    let shown = format!("{ws:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    ws.select_subprotocol(&format!("bearer.{SECRET}")).unwrap_err();
    ws.on_upgrade(async |stream: WsStream| assert!(!format!("{stream:?}").contains(SECRET)))
}

async fn foreign(State(report): State<Report>, ws: WebSocketUpgrade) -> Response {
    let secret = format!("bearer.{SECRET}");
    let ws = ws.protocols(["v1.chat".to_owned(), secret]);
    report.say(format!("selected {:?}", ws.selected_protocol()));
    ws.on_upgrade(async |_| ())
}

#[tokio::test]
async fn a_secret_reaches_the_handler_and_nobody_else() {
    trace();
    let (report, mut events) = events();
    let subprotocols = || Subprotocols::new(["v2.chat", "v1.chat"]).unwrap();
    let layer = || WsHandshakeLayer::new().subprotocols(subprotocols().secret_prefix("bearer.").unwrap());
    let other = WsHandshakeLayer::new().subprotocols(subprotocols().secret_prefix("ticket.").unwrap());
    let nested = Router::new().route("/nested", any(tells)).layer(other);
    let logs_the_head = from_fn(async |request: Request, next: Next| {
        tracing::info!(headers = ?request.headers(), "a layer inside logs the head");
        next.run(request).await
    });
    let app = Router::new()
        .route("/ws", any(tells))
        .route("/foreign", any(foreign))
        .merge(nested)
        .layer(logs_the_head)
        .layer(layer())
        .with_state(report);
    let address = serve(app).await;
    for over in Over::ALL {
        #[rustfmt::skip]
        let rows = [
            ("/ws", "v1.chat, bearer.aHVudGVyMg", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg,v1.chat,v2.chat", Some("v2.chat"), r#"field Some("v1.chat, v2.chat") offered ["v1.chat", "v2.chat"] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg", None, r#"field None offered [] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg, bearer.x", None, r#"field None offered [] secret Some("aHVudGVyMg")"#),
            ("/ws", "v1.chat", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret None"#),
            ("/ws", "v1.chat, Bearer.aHVudGVyMg", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret Some("aHVudGVyMg")"#),
            ("/nested", "v1.chat, bearer.aHVudGVyMg, ticket.t", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret Some("aHVudGVyMg")"#),
            ("/foreign", "bearer.aHVudGVyMg, v1.chat", Some("v1.chat"), r#"selected Some("v1.chat")"#),
        ];
        for (path, names, selected, told) in rows {
            let name = format!("{over:?} {path} {names}");
            let (mut client, head) = over.handshake(address, &offering(names, path)).await;
            assert_eq!((head.status, head.get("sec-websocket-protocol")), (over.accepted(), selected), "{name}");
            assert_eq!(events.next().await, told, "{name}");
            client.finish().await;
            client.rest().await;
        }
        // A refusal does not show it either.
        let evil = offering("bearer.aHVudGVyMg", "/ws").set("origin", "https://evil.com");
        let (mut client, head) = over.handshake(address, &evil).await;
        assert_eq!(head.status, 403);
        assert!(!format!("{:?}", head.headers).contains(SECRET));
        assert!(!String::from_utf8(client.rest().await).unwrap().contains(SECRET));
    }
    let text = logged();
    assert!(text.contains("a layer inside logs the head") && !text.contains(SECRET), "{text}");
}

/// As Deepgram and others have it: `["bearer", token]`.
#[tokio::test]
async fn a_secret_in_a_name_of_its_own_reaches_the_handler_and_nobody_else() {
    async fn tells(State(report): State<Report>, headers: HeaderMap, mut ws: WsUpgrade) -> Response {
        let field = headers.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        let offered: Vec<_> = ws.offered_subprotocols().collect();
        report.say(format!("field {field:?} offered {offered:?} secret {:?}", ws.secret_subprotocol("bearer")));
        let shown = format!("{ws:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        ws.select_subprotocol(SECRET).unwrap_err();
        ws.on_upgrade(async |stream: WsStream| assert!(!format!("{stream:?}").contains(SECRET)))
    }
    let (report, mut events) = events();
    let subprotocols = Subprotocols::new(["v1.chat", "bearer"]).unwrap().secret_after("bearer").unwrap();
    let app = Router::new().route("/ws", any(tells)).layer(WsHandshakeLayer::new().subprotocols(subprotocols));
    let address = serve(app.with_state(report)).await;
    for over in Over::ALL {
        #[rustfmt::skip]
        let rows = [
            ("bearer, aHVudGVyMg", Some("bearer"), r#"field Some("bearer") offered ["bearer"] secret Some("aHVudGVyMg")"#),
            ("Bearer,aHVudGVyMg,v1.chat", Some("v1.chat"), r#"field Some("Bearer, v1.chat") offered ["Bearer", "v1.chat"] secret Some("aHVudGVyMg")"#),
            ("bearer,, ,aHVudGVyMg", Some("bearer"), r#"field Some("bearer") offered ["bearer"] secret Some("aHVudGVyMg")"#),
            ("bearer, v1.chat", Some("bearer"), r#"field Some("bearer") offered ["bearer"] secret Some("v1.chat")"#),
            ("v1.chat, bearer", Some("v1.chat"), r#"field Some("v1.chat, bearer") offered ["v1.chat", "bearer"] secret None"#),
        ];
        for (names, selected, told) in rows {
            let name = format!("{over:?} {names}");
            let (mut client, head) = over.handshake(address, &offering(names, "/ws")).await;
            assert_eq!((head.status, head.get("sec-websocket-protocol")), (over.accepted(), selected), "{name}");
            assert_eq!(events.next().await, told, "{name}");
            client.finish().await;
            client.rest().await;
        }
        let on_two_lines = offering("bearer", "/ws").add("sec-websocket-protocol", "aHVudGVyMg");
        let (_client, head) = over.handshake(address, &on_two_lines).await;
        head.accepts(*over, "on two lines");
        let told = r#"field Some("bearer") offered ["bearer"] secret Some("aHVudGVyMg")"#;
        assert_eq!(events.next().await, told, "{over:?} on two lines");
    }
}

/// What follows a name is decided by what the client sent, and not by what another layer has left of it.
#[tokio::test]
async fn nested_layers_agree_on_which_names_are_secrets() {
    async fn tells(State(report): State<Report>, headers: HeaderMap, ws: WsUpgrade) -> Response {
        let field = headers.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        let secrets: Vec<_> = ws.secret_subprotocols("bearer").chain(ws.secret_subprotocols("ticket.")).collect();
        report.say(format!("field {field:?} secrets {secrets:?}"));
        ws.on_upgrade(async |_| ())
    }
    async fn page(State(report): State<Report>, headers: HeaderMap) {
        report.say(format!("{:?}", headers.get("sec-websocket-protocol")));
    }
    let speaks = || Subprotocols::new(["chat", "bearer"]).unwrap();
    let after = || WsHandshakeLayer::new().subprotocols(speaks().secret_after("bearer").unwrap());
    let prefix = || WsHandshakeLayer::new().subprotocols(speaks().secret_prefix("ticket.").unwrap());
    let none = || WsHandshakeLayer::new();
    let (report, mut events) = events();
    let app = |outer: WsHandshakeLayer, inner: WsHandshakeLayer| {
        let app = Router::new().route("/ws", any(tells)).route("/page", any(page));
        app.layer(inner).layer(outer).with_state(report.clone())
    };
    #[rustfmt::skip]
    let rows = [
        ("the same twice", after(), after(), "bearer, tok, chat", "chat", r#"field Some("bearer, chat") secrets ["tok"]"#, r#"Some("bearer, chat")"#),
        ("inside alone", none(), after(), "bearer, tok, chat", "chat", r#"field Some("bearer, chat") secrets ["tok"]"#, r#"Some("bearer, chat")"#),
        ("outside alone", after(), none(), "bearer, tok, chat", "chat", r#"field Some("bearer, chat") secrets ["tok"]"#, r#"Some("bearer, chat")"#),
        ("a prefix outside", prefix(), after(), "bearer, ticket.tok, chat", "chat", r#"field Some("bearer, chat") secrets ["ticket.tok", "tok"]"#, r#"Some("bearer, chat")"#),
        ("a prefix inside", after(), prefix(), "bearer, ticket.tok, chat", "chat", r#"field Some("bearer, chat") secrets ["ticket.tok", "tok"]"#, r#"Some("bearer, chat")"#),
    ];
    for (name, outer, inner, offer, selected, told, told_of_page) in rows {
        // A layer that is told of no subprotocols selects none.
        let selected = if name == "outside alone" { None } else { Some(selected) };
        let address = serve(app(outer, inner)).await;
        for over in Over::ALL {
            let (_client, head) = over.handshake(address, &offering(offer, "/ws")).await;
            assert_eq!(
                (head.status, head.get("sec-websocket-protocol")),
                (over.accepted(), selected),
                "{name} {over:?}"
            );
            assert_eq!(events.next().await, told, "{name} {over:?}");
        }
        let page = offering(offer, "/page").without("upgrade").set("connection", "close");
        let (_client, head) = Over::Http1.handshake(address, &page).await;
        assert_eq!(head.status, 200, "{name}");
        assert_eq!(events.next().await, told_of_page, "{name}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let request = http::Request::get("/ws")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "bearer.aHVudGVyMg, v1.chat");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let client = ws_handshake::handshake::ClientHandshake::from_parts(&parts).unwrap().unwrap();
    assert!(!format!("{client:?}").contains(SECRET));
    let subprotocols = Subprotocols::new(["v1.chat"]).unwrap().secret_prefix("bearer.").unwrap();
    let policy = ws_handshake::Policy::new().subprotocols(subprotocols);
    let server = policy.decide(&client, &parts).now().unwrap().unwrap();
    let shown = format!("{server:?}");
    assert!(shown.contains("v1.chat") && !shown.contains(SECRET), "{shown}");
    let others = ["ticket.", "bearer", "bearer.a", ""].map(|prefix| (prefix, None));
    for (prefix, secret) in [("bearer.", Some(SECRET)), ("Bearer.", Some(SECRET))].into_iter().chain(others) {
        assert_eq!(server.secret_subprotocol(prefix), secret, "{prefix}");
    }
}

/// A proxy that drops `Upgrade`, or speaks HTTP/1.0, makes a page's request of a handshake.
#[tokio::test]
async fn a_secret_of_a_request_that_is_no_handshake_reaches_nobody() {
    async fn shows(headers: HeaderMap) -> String {
        format!("{:?}", headers.get_all("sec-websocket-protocol").iter().collect::<Vec<_>>())
    }
    let subprotocols = Subprotocols::new(["v1.chat", "k8s.io/v1"]).unwrap().secret_prefix("bearer.").unwrap();
    let subprotocols = subprotocols.secret_after("bearer").unwrap();
    let app = Router::new().route("/ws", any(shows)).layer(WsHandshakeLayer::new().subprotocols(subprotocols));
    let address = serve(app).await;
    let plain = |names: &str| offering(names, "/ws").without("upgrade").set("connection", "close");
    let rows = [
        ("a secret", plain("v1.chat, bearer.aHVudGVyMg"), r#"["v1.chat"]"#),
        ("on a second line", plain("v1.chat").add("sec-websocket-protocol", "bearer.aHVudGVyMg"), r#"["v1.chat"]"#),
        ("a secret alone", plain("bearer.aHVudGVyMg"), "[]"),
        ("a secret in a name of its own", plain("bearer, aHVudGVyMg, v1.chat"), r#"["bearer, v1.chat"]"#),
        ("behind a line", plain("bearer").add("sec-websocket-protocol", "aHVudGVyMg"), r#"["bearer"]"#),
        ("beside a name that is no token", plain("k8s.io/v1, bearer.aHVudGVyMg"), r#"["k8s.io/v1"]"#),
        ("malformed", plain("v1.chat, bearer.aHVudGVyMg/"), "[]"),
        ("over HTTP/1.0", plain("v1.chat, bearer.aHVudGVyMg").line("GET /ws HTTP/1.0"), r#"["v1.chat"]"#),
        ("no secret", plain("v1.chat, v2.chat"), r#"["v1.chat, v2.chat"]"#),
        ("nothing", plain("v1.chat").without("sec-websocket-protocol"), "[]"),
    ];
    for (name, request, expected) in rows {
        let (mut client, head) = Over::Http1.handshake(address, &request).await;
        assert_eq!(head.status, 200, "{name}");
        assert_eq!(String::from_utf8(client.rest().await).unwrap(), expected, "{name}");
    }
}
