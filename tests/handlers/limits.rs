//! Connection limits, in all and for each key. Their timers take no time here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::any};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, timeout},
};
use ws_handshake::{AllowOrigin, ConnectionKey, Connections, WsStream, WsUpgrade, testing::TestServer};

use crate::{
    common::{Report, SOON, echo, events},
    http_version::Over,
    support::{layer, len, refusal},
};

#[tokio::test(start_paused = true)]
async fn a_permit_is_taken_before_an_asynchronous_predicate_and_not_by_who_is_refused() {
    let connections = Connections::new().limit(1);
    let slow = AllowOrigin::async_predicate(|origin, _| async move {
        sleep(Duration::from_secs(3)).await;
        origin.as_str() == "https://slow.example.com"
    });
    let layer = layer(&connections).allow_origin(AllowOrigin::list(["https://example.com"]).unwrap().or(slow));
    let server = TestServer::new(Router::new().route("/ws", any(echo)).layer(layer));
    for over in Over::ALL {
        let ask = |origin| over.ask(&server, "/ws").header("origin", origin);
        let undecided = tokio::spawn(ask("https://evil.com").connect());
        len(&connections, 1).await;
        assert_eq!(refusal(ask("https://example.com")).await.status(), 503);
        assert_eq!(undecided.await.unwrap().unwrap_err().status(), 403);
        len(&connections, 0).await;
        // Who finds no place is told so, whatever the policy would say of it.
        let connected = ask("https://example.com").connect().await.unwrap();
        assert_eq!(refusal(ask("nonsense")).await.status(), 503);
        drop(connected);
        len(&connections, 0).await;
        assert_eq!(refusal(ask("nonsense")).await.status(), 400);
        len(&connections, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_by_one_limit_takes_no_place_of_another() {
    let connections = Connections::new().limit(1).limit_per(5, |_| None);
    let server = TestServer::new(Router::new().route("/ws", any(echo)).layer(layer(&connections)));
    let _connected = server.ws("/ws").connect().await.unwrap();
    for over in Over::ALL {
        assert_eq!(refusal(over.ask(&server, "/ws")).await.status(), 503);
        assert_eq!((connections.len(), connections.len_of(None)), (1, 1), "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_costs_no_predicate_a_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let predicate = AllowOrigin::predicate(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        false
    });
    let full = [
        Connections::new().limit(0),
        Connections::new().limit_per(0, |_| None),
        Connections::new().rate_per(0, Duration::from_secs(60), |_| None),
    ];
    for (over, connections) in Over::ALL.into_iter().flat_map(|over| full.iter().map(move |full| (over, full))) {
        let layer = layer(connections).allow_origin(predicate.clone());
        let server = TestServer::new(Router::new().route("/ws", any(echo)).layer(layer));
        let refusal = refusal(over.ask(&server, "/ws").origin("https://example.com")).await;
        assert!([429, 503].contains(&refusal.status().as_u16()), "{refusal:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 0, "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_key_may_try_so_often_whatever_becomes_of_its_tries() {
    let connections = Connections::new()
        .rate_per(3, Duration::from_secs(60), |parts| Some(parts.headers.get("x-user")?.to_str().ok()?.into()));
    for over in Over::ALL {
        // Where layers stand one inside the other, a try counts once.
        let app = Router::new().route("/ws", any(echo)).layer(layer(&connections)).layer(layer(&connections));
        let server = TestServer::new(app);
        let ask = |user: &str| over.ask(&server, "/ws").header("x-user", user);
        let (one, other) = (format!("one {over:?}"), format!("other {over:?}"));
        for _ in 0..2 {
            assert_eq!(refusal(ask(&one).origin("https://evil.com")).await.status(), 403);
        }
        ask(&one).connect().await.unwrap();
        let refused = refusal(ask(&one)).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "20");
        assert_eq!(refused.headers().contains_key("connection"), over.pick(true, false), "it closes");
        ask(&other).connect().await.unwrap();
        sleep(Duration::from_secs(19)).await;
        assert_eq!(refusal(ask(&one)).await.headers()["retry-after"], "1", "{over:?}");
        sleep(Duration::from_secs(1)).await;
        ask(&one).connect().await.unwrap();
        assert_eq!(refusal(ask(&one)).await.status(), 429, "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_counts_also_where_there_is_no_place_and_of_two_rates_the_longer_wait_is_told() {
    for over in Over::ALL {
        let seconds = Duration::from_secs;
        let connections =
            Connections::new().limit(0).rate_per(1, seconds(1), |_| None).rate_per(2, seconds(3600), |_| None);
        let server = TestServer::new(Router::new().route("/ws", any(echo)).layer(layer(&connections)));
        let mut answers = Vec::new();
        for wait in [0, 1, 1] {
            sleep(seconds(wait)).await;
            let refused = refusal(over.ask(&server, "/ws")).await;
            answers.push((refused.status().as_u16(), refused.headers()["retry-after"].clone()));
        }
        assert!(answers[0].0 == 503 && answers[1].0 == 503, "{answers:?}");
        assert_eq!(answers[2], (429, "1798".parse().unwrap()), "{over:?}");
        connections.close();
        assert_eq!(refusal(over.ask(&server, "/ws")).await.body(), &"this server is about to stop", "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_limit_and_those_without_one_share_one() {
    let connections = Connections::new().limit_per(2, |parts| {
        let user = parts.headers.get("x-user")?.to_str().ok()?;
        Some(ConnectionKey::from(user))
    });
    let server = TestServer::new(Router::new().route("/ws", any(echo)).layer(layer(&connections)));
    for over in Over::ALL {
        let ask = |user: &'static str| match user {
            "" => over.ask(&server, "/ws"),
            user => over.ask(&server, "/ws").header("x-user", user),
        };
        let mut streams = Vec::new();
        for user in ["alice", "alice", "bob", "", ""] {
            streams.push(ask(user).connect().await.unwrap());
        }
        for user in ["alice", ""] {
            let refusal = refusal(ask(user)).await;
            assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS, "{over:?} {user:?}");
            assert!(refusal.headers().contains_key("retry-after"), "{over:?} {user:?}");
        }
        let of = |key: &str| connections.len_of(Some(&key.into()));
        assert_eq!((of("alice"), of("bob"), of("carol"), connections.len_of(None)), (2, 1, 0, 2));
        assert_eq!(connections.len(), 5);
        drop(streams);
        len(&connections, 0).await;
        assert_eq!((of("alice"), connections.len_of(None)), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
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
        let app = Router::new()
            .merge(Router::new().route("/same", any(heeds).layer(layer(&same))).layer(layer(&same)))
            .merge(Router::new().route("/two", any(heeds).layer(layer(&inner))).layer(layer(&outer)))
            .with_state(report);
        let server = TestServer::new(app);

        let _one = over.ask(&server, "/same").connect().await.unwrap();
        assert_eq!(same.len(), 1, "{over:?}");
        assert_eq!(refusal(over.ask(&server, "/same")).await.status(), 503, "{over:?}");

        let _two = over.ask(&server, "/two").connect().await.unwrap();
        assert_eq!((outer.len(), inner.len()), (1, 1), "{over:?}");
        // Where the inner ones are full, the place among the outer ones goes with the refusal.
        assert_eq!(refusal(over.ask(&server, "/two")).await.status(), 503, "{over:?}");
        len(&outer, 1).await;

        // A signal of either reaches the stream.
        let drained = tokio::join!(
            outer.drain().over(Duration::ZERO).deadline(SOON),
            same.drain().over(Duration::ZERO).deadline(SOON)
        );
        assert_eq!((drained.0.closed, drained.0.aborted, drained.1.closed), (1, 0, 1), "{over:?}");
        assert_eq!([events.next().await, events.next().await], ["closing", "closing"]);
        assert_eq!((outer.len(), inner.len(), same.len()), (0, 0, 0), "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_inside_holds_to_its_own_limits() {
    let all = Connections::new();
    let key = || Some(ConnectionKey::from("one and the same"));
    let by_key = Connections::new().limit_per(3, move |_| key());
    let app = Router::new()
        .route("/strict", any(echo).layer(layer(&all.clone().limit(1))))
        .route("/key", any(echo).layer(layer(&all.clone().limit_per(2, move |_| key()))))
        .layer(layer(&all))
        .merge(Router::new().route("/same-key", any(echo).layer(layer(&by_key))).layer(layer(&by_key)));
    let server = TestServer::new(app);
    for over in Over::ALL {
        for (path, limit, refused) in [("/strict", 1, 503), ("/key", 2, 429), ("/same-key", 3, 429)] {
            let mut streams = Vec::new();
            for _ in 0..limit {
                streams.push(over.ask(&server, path).connect().await.unwrap());
            }
            assert_eq!(refusal(over.ask(&server, path)).await.status(), refused, "{over:?} {path}");
            drop(streams);
            len(&all, 0).await;
            len(&by_key, 0).await;
        }
    }
}

/// A 101 that the client takes nothing of: the hand-off ends at its timeout, and its permit is free again.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_written_frees_its_permit_at_the_timeout() {
    let connections = Connections::new().limit(1);
    let (report, mut events) = events();
    let handler = async |State(report): State<Report>, ws: WsUpgrade| {
        let failed = ws.accept().await.err();
        report.say(format!("{failed:?}"));
    };
    let layer = layer(&connections).handoff_timeout(Duration::from_secs(3));
    let app = Router::new().route("/ws", any(handler)).layer(layer).with_state(report);
    let (mut client, server) = tokio::io::duplex(16);
    let service = TowerToHyperService::new(app);
    let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades();
    let serving = tokio::spawn(serving);
    let request = "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let start = Instant::now();
    client.write_all(request.as_bytes()).await.unwrap();
    len(&connections, 1).await;
    assert_eq!(events.next().await, "Some(TimedOut)");
    assert_eq!(start.elapsed().as_secs(), 3);
    len(&connections, 0).await;
    // hyper goes on writing for as long as the client is there.
    assert!(!serving.is_finished());
    drop(client);
    let _ = timeout(SOON, serving).await.expect("the connection ends with its client");
}
