//! Permits that live as long as the streams, and how these come to their end together.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use ws_handshake::{AllowOrigin, ConnectionKey, Connections, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Handshake, Over, Report, SOON, echo, echo_by_callback, events, serve};

/// Waits until as many connections are open.
async fn len(connections: &Connections, expected: usize, name: &str) {
    let counted = async {
        while connections.len() != expected {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let Err(_) = timeout(SOON, counted).await else { return };
    panic!("{name}: {} connections are open, not {expected}", connections.len());
}

#[tokio::test]
async fn a_permit_lives_as_long_as_its_stream_in_every_form() {
    async fn refuses(_ws: WsUpgrade) -> StatusCode {
        StatusCode::UNAUTHORIZED
    }
    async fn panics(mut stream: WsStream) {
        let _ = stream.read_u8().await;
        panic!("with a stream");
    }
    async fn foreign(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
    }
    async fn gives_up(stream: WsStream) {
        let mut upgraded = TokioIo::new(stream.into_upgraded());
        let _ = upgraded.read_u8().await;
    }
    async fn in_parts(stream: WsStream) {
        let parts = stream.into_parts();
        let _ = TokioIo::new(parts.upgraded).read_u8().await;
        drop(parts.permit);
    }
    let connections = Connections::new().limit(1);
    let app = Router::new()
        .route("/straight", any(echo))
        .route("/callback", any(echo_by_callback))
        .route("/refuses", any(refuses))
        .route("/panics", any(panics))
        .route("/foreign", any(foreign))
        .route("/upgraded", any(gives_up))
        .route("/parts", any(in_parts))
        .layer(WsHandshakeLayer::new().connections(connections.clone()));
    let address = serve(app).await;
    for over in Over::ALL {
        for (path, status, held) in [
            ("/straight", over.accepted(), 1),
            ("/callback", over.accepted(), 1),
            ("/refuses", 401, 0),
            ("/panics", over.accepted(), 1),
            ("/foreign", over.accepted(), 0),
            ("/upgraded", over.accepted(), 0),
            ("/parts", over.accepted(), 1),
            ("/nowhere", 404, 0),
        ] {
            let name = format!("{over:?} {path}");
            let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            assert_eq!(head.status, status, "{name}");
            len(&connections, held, &name).await;
            if held == 1 {
                let (_, head) = over.handshake(address, &Handshake::valid().to("/straight")).await;
                assert_eq!((head.status, head.get("connection")), (503, over.closing()), "{name}");
                let seconds: u16 = head.get("retry-after").unwrap().parse().unwrap();
                assert!((5..=15).contains(&seconds), "{name}: {seconds}");
            }
            client.try_send(b"x").await;
            drop(client);
            len(&connections, 0, &name).await;
        }
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_holds_its_permit() {
    async fn never(State(report): State<Report>, ws: WsUpgrade) {
        report.say("runs");
        std::future::pending::<()>().await;
        drop(ws);
    }
    let (report, mut events) = events();
    let connections = Connections::new();
    let app = Router::new().route("/ws", any(never)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().connections(connections.clone()))).await;
    for over in Over::ALL {
        let client = over.ask(address, &Handshake::valid(), b"").await;
        assert_eq!(events.next().await, "runs");
        assert_eq!(connections.len(), 1);
        drop(client);
        len(&connections, 0, "a client that vanishes").await;
    }
}

#[tokio::test]
async fn a_permit_is_taken_before_an_asynchronous_predicate_and_not_by_who_is_refused() {
    let connections = Connections::new().limit(1);
    let slow = AllowOrigin::async_predicate(|origin, _| async move {
        sleep(Duration::from_millis(300)).await;
        origin.as_str() == "https://slow.example.com"
    });
    let layer = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://example.com"]).unwrap().or(slow))
        .connections(connections.clone());
    let address = serve(Router::new().route("/ws", any(echo)).layer(layer)).await;
    for over in Over::ALL {
        let valid = Handshake::valid();
        let mut undecided = over.ask(address, &valid.clone().set("origin", "https://evil.com"), b"").await;
        len(&connections, 1, "undecided").await;
        let (_, head) = over.handshake(address, &valid).await;
        assert_eq!(head.status, 503);
        assert_eq!(undecided.head().await.status, 403);
        len(&connections, 0, "refused").await;
        // Who is refused by a rule is told that rule, full or not.
        let (client, head) = over.handshake(address, &valid).await;
        assert_eq!(head.status, over.accepted());
        let (_, head) = over.handshake(address, &valid.clone().set("origin", "nonsense")).await;
        assert_eq!(head.status, 400);
        drop(client);
        len(&connections, 0, "closed").await;
    }
}

#[tokio::test]
async fn each_key_has_its_own_limit_and_those_without_one_share_one() {
    let connections = Connections::new().limit_per(2, |parts| {
        let user = parts.headers.get("x-user")?.to_str().ok()?;
        Some(ConnectionKey::from(user))
    });
    let layer = WsHandshakeLayer::new().connections(connections.clone());
    let address = serve(Router::new().route("/ws", any(echo)).layer(layer)).await;
    for over in Over::ALL {
        let handshake_of = |name: &str| match name {
            "" => Handshake::valid(),
            name => Handshake::valid().add("x-user", name),
        };
        let mut clients = Vec::new();
        for (user, status) in [("alice", 0), ("alice", 0), ("alice", 429), ("bob", 0), ("", 0), ("", 0), ("", 429)] {
            let (client, head) = over.handshake(address, &handshake_of(user)).await;
            let expected = if status == 0 { over.accepted() } else { status };
            assert_eq!(head.status, expected, "{over:?} {user:?}");
            assert_eq!(head.get("retry-after").is_some(), status == 429, "{over:?} {user:?}");
            clients.push(client);
        }
        let of = |key: &str| connections.len_of(Some(&key.into()));
        assert_eq!((of("alice"), of("bob"), of("carol"), connections.len_of(None)), (2, 1, 0, 2));
        assert_eq!(connections.len(), 5);
        drop(clients);
        len(&connections, 0, "all gone").await;
        assert_eq!((of("alice"), connections.len_of(None)), (0, 0));
    }
}

#[tokio::test]
async fn layers_one_inside_the_other_count_a_stream_once() {
    async fn heeds(State(report): State<Report>, stream: WsStream) {
        let mut closing = stream.closing();
        (&mut closing).await;
        // Once it has resolved it always does.
        closing.await;
        report.say("closing");
    }
    for over in Over::ALL {
        let (report, mut events) = events();
        let same = Connections::new().limit(1);
        let (outer, inner) = (Connections::new(), Connections::new().limit(1));
        let layer = |connections: &Connections| WsHandshakeLayer::new().connections(connections.clone());
        let app = Router::new()
            .merge(Router::new().route("/same", any(heeds).layer(layer(&same))).layer(layer(&same)))
            .merge(Router::new().route("/two", any(heeds).layer(layer(&inner))).layer(layer(&outer)))
            .with_state(report);
        let address = serve(app).await;

        let (_one, head) = over.handshake(address, &Handshake::valid().to("/same")).await;
        assert_eq!((head.status, same.len()), (over.accepted(), 1), "{over:?}");
        let (_, head) = over.handshake(address, &Handshake::valid().to("/same")).await;
        assert_eq!(head.status, 503, "{over:?}");

        let (_two, head) = over.handshake(address, &Handshake::valid().to("/two")).await;
        assert_eq!((head.status, outer.len(), inner.len()), (over.accepted(), 1, 1), "{over:?}");
        // Where the inner ones are full, the place among the outer ones goes with the refusal.
        let (_, head) = over.handshake(address, &Handshake::valid().to("/two")).await;
        assert_eq!(head.status, 503, "{over:?}");
        len(&outer, 1, "refused further in").await;

        // A signal of either reaches the stream.
        let drained = tokio::join!(outer.drain(Duration::ZERO, SOON), same.drain(Duration::ZERO, SOON));
        assert_eq!((drained.0.left, drained.0.ended, drained.1.left), (1, 0, 1), "{over:?}");
        assert_eq!([events.next().await, events.next().await], ["closing", "closing"]);
        assert_eq!((outer.len(), inner.len(), same.len()), (0, 0, 0), "{over:?}");
    }
}

#[tokio::test]
async fn a_drain_asks_then_ends_and_lets_nobody_in() {
    /// Closes when it is asked to, with a last word.
    async fn polite(mut stream: WsStream) {
        stream.closing().await;
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
    }
    /// Reads for as long as there is anything.
    async fn reads(State(report): State<Report>, mut stream: WsStream) {
        let read = stream.read(&mut [0; 8]).await;
        report.say(format!("read {read:?}"));
        let written = stream.write(b"too late").await.map_err(|error| error.kind());
        report.say(format!("write {written:?}"));
    }
    /// Writes to a client that reads nothing.
    async fn writes(State(report): State<Report>, mut stream: WsStream) {
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 8192]).await {
                break error;
            }
        };
        report.say(format!("wrote {:?}", error.kind()));
    }
    for over in Over::ALL {
        let connections = Connections::new();
        let (report, mut events) = events();
        let app = Router::new()
            .route("/polite", any(polite))
            .route("/reads", any(reads))
            .route("/writes", any(writes))
            .layer(WsHandshakeLayer::new().connections(connections.clone()))
            .with_state(report);
        let address = serve(app).await;
        let mut clients = Vec::new();
        for path in ["/polite", "/polite", "/reads", "/writes"] {
            let (client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            assert_eq!(head.status, over.accepted());
            clients.push(client);
        }
        // Until the writer is held back.
        sleep(Duration::from_millis(100)).await;
        let start = Instant::now();
        let draining = tokio::spawn(connections.drain(Duration::from_millis(50), Duration::from_millis(400)));
        let (_, head) = over.handshake(address, &Handshake::valid().to("/polite")).await;
        assert_eq!((head.status, head.get("retry-after").is_some()), (503, true), "{over:?}");
        for polite in &mut clients[..2] {
            assert_eq!(polite.rest().await, b"bye", "{over:?}");
        }
        assert!(start.elapsed() < Duration::from_millis(400), "{over:?}: it waits for nobody");
        let drained = draining.await.unwrap();
        assert_eq!((drained.left, drained.ended), (2, 2), "{over:?}");
        let mut said = [events.next().await, events.next().await, events.next().await];
        said.sort();
        assert_eq!(said, ["read Ok(0)", "write Err(ConnectionAborted)", "wrote ConnectionAborted"], "{over:?}");
        timeout(SOON, connections.wait()).await.expect("all have gone");
    }
}

#[tokio::test]
async fn io_that_was_taken_out_keeps_its_permit_and_hears_the_signal() {
    async fn takes(State(report): State<Report>, stream: WsStream) {
        let Ok(parts) = stream.downcast::<TokioIo<TcpStream>>() else { panic!("no TCP stream below") };
        let permit = parts.permit.expect("a permit");
        report.say("connected");
        permit.closing().await;
        report.say("closing");
    }
    let connections = Connections::new();
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(takes)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().connections(connections.clone()))).await;
    let (_client, _) = Over::Http1.handshake(address, &Handshake::valid()).await;
    assert_eq!(events.next().await, "connected");
    assert_eq!(connections.len(), 1);
    let drained = connections.drain(Duration::ZERO, SOON).await;
    assert_eq!((events.next().await.as_str(), drained.left, drained.ended), ("closing", 1, 0));
}

#[tokio::test]
async fn a_drain_and_a_graceful_shutdown_end_together() {
    async fn polite(mut stream: WsStream) {
        stream.closing().await;
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    for over in Over::ALL {
        let connections = Connections::new();
        let app = Router::new().route("/ws", any(polite));
        let app = app.layer(WsHandshakeLayer::new().connections(connections.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let wait = |mut stopped: watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
        let serving = axum::serve(listener, app).with_graceful_shutdown(wait(stopped.clone()));
        let draining = async {
            wait(stopped).await;
            connections.drain(Duration::from_millis(100), SOON).await
        };
        let stopping = async {
            let mut clients = Vec::new();
            for _ in 0..3 {
                clients.push(over.handshake(address, &Handshake::valid()).await.0);
            }
            drop(stop);
            for client in &mut clients {
                assert_eq!(client.rest().await, b"bye", "{over:?}");
                client.finish().await;
            }
        };
        let all = async { tokio::join!(serving.into_future(), draining, stopping) };
        let (served, drained, ()) = timeout(SOON, all).await.expect("it does not end");
        served.unwrap();
        assert_eq!((drained.left, drained.ended), (3, 0), "{over:?}");
    }
}

#[tokio::test]
async fn a_layer_inside_holds_to_its_own_limits() {
    let all = Connections::new();
    let key = || Some(ConnectionKey::from("one and the same"));
    let by_key = Connections::new().limit_per(3, move |_| key());
    let layer = |connections: &Connections| WsHandshakeLayer::new().connections(connections.clone());
    let routes = Router::new()
        .route("/strict", any(echo).layer(layer(&all.clone().limit(1))))
        .route("/key", any(echo).layer(layer(&all.clone().limit_per(2, move |_| key()))))
        .layer(layer(&all))
        .merge(Router::new().route("/same-key", any(echo).layer(layer(&by_key))).layer(layer(&by_key)));
    let address = serve(routes).await;
    for over in Over::ALL {
        for (path, limit, refused) in [("/strict", 1, 503), ("/key", 2, 429), ("/same-key", 3, 429)] {
            let mut clients = Vec::new();
            for _ in 0..limit {
                let (client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
                assert_eq!(head.status, over.accepted(), "{over:?} {path}");
                clients.push(client);
            }
            let (_, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            assert_eq!(head.status, refused, "{over:?} {path}");
            drop(clients);
            len(&all, 0, path).await;
            len(&by_key, 0, path).await;
        }
    }
}

#[tokio::test]
async fn a_handshake_that_is_undecided_when_a_drain_begins_is_refused() {
    let connections = Connections::new();
    let slow = AllowOrigin::async_predicate(|_, _| async move {
        sleep(Duration::from_millis(100)).await;
        true
    });
    let layer = WsHandshakeLayer::new().allow_origin(slow).connections(connections.clone());
    let address = serve(Router::new().route("/ws", any(echo)).layer(layer)).await;
    for over in Over::ALL {
        let mut client = over.ask(address, &Handshake::valid(), b"").await;
        if *over == Over::Http1 {
            len(&connections, 1, "undecided").await;
        }
        connections.close();
        let head = client.head().await;
        assert_eq!((head.status, head.get("retry-after").is_some()), (503, true), "{over:?}");
    }
}
