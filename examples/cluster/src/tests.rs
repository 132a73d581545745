//! Nodes that share a broker in memory. `ci/cluster.sh` runs three processes that share a Redis.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use ws_handshake::{WsStream, testing::TestServer};

use super::{
    broker::{KEPT, QUEUE},
    *,
};

const SOON: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<WsStream>;

fn alone() -> Arc<Broker> {
    Arc::new(Broker::InProcess(InProcess::default()))
}

fn node(broker: &Arc<Broker>, connections: &Connections) -> TestServer<Router> {
    TestServer::new(app(Arc::clone(broker), &[], connections).unwrap())
}

async fn fill(broker: &Broker, count: usize, text: &str) {
    for _ in 0..count {
        broker.say(&json!({"key": "", "from": "Ann", "text": text}).to_string()).await.unwrap();
    }
}

/// Connects, and returns the socket, and `since` and `lost` of the greeting.
async fn visit(node: &TestServer<Router>, since: Option<u64>) -> (Socket, u64, bool) {
    let place = since.map(|since| format!("?since={since}")).unwrap_or_default();
    let (stream, _) = node.ws(format!("/chat{place}")).subprotocols(["v1.chat"]).connect().await.unwrap();
    let mut socket = stream.into_tungstenite(None).await.unwrap();
    let greeting = hear(&mut socket).await.unwrap();
    (socket, greeting["since"].as_u64().unwrap(), greeting["lost"].as_bool().unwrap())
}

/// The next message, or the server's close code.
async fn hear(socket: &mut Socket) -> Result<Value, u16> {
    match timeout(SOON, socket.try_next()).await.expect("nothing is heard").unwrap().unwrap() {
        Message::Text(text) => Ok(serde_json::from_str(&text).unwrap()),
        Message::Close(frame) => Err(frame.unwrap().code.into()),
        other => panic!("{other:?}"),
    }
}

/// Reads until the server closes, and checks that the messages continue after `at`.
async fn hear_out(socket: &mut Socket, at: &mut u64) -> u16 {
    loop {
        match hear(socket).await {
            Ok(said) => {
                *at += 1;
                assert_eq!(said["id"], *at);
            }
            Err(code) => return code,
        }
    }
}

#[tokio::test]
async fn what_is_said_is_acknowledged_and_heard_by_all() {
    let node = node(&alone(), &Connections::new());
    let (mut ann, ..) = visit(&node, None).await;
    let (mut bob, ..) = visit(&node, None).await;
    ann.send(Message::text(r#"{"key":"k1","from":"Ann","text":"hello"}"#)).await.unwrap();
    let said = json!({"id": 1, "said": {"key": "k1", "from": "Ann", "text": "hello"}});
    assert_eq!(hear(&mut bob).await, Ok(said.clone()));
    let both = [hear(&mut ann).await.unwrap(), hear(&mut ann).await.unwrap()];
    assert!(both.contains(&said) && both.contains(&json!({"ack": "k1", "id": 1})), "{both:?}");
    bob.send(Message::text("hello")).await.unwrap();
    assert_eq!(hear(&mut bob).await, Err(CloseCode::Policy.into()));
}

/// While others speak on another node: missed messages and new ones meet without a gap and without an overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_over_and_over_hears_each_message_once() {
    const SAID: usize = 2000;
    let broker = alone();
    let nodes = [node(&broker, &Connections::new()), node(&broker, &Connections::new())];
    let speaking = tokio::spawn(async move {
        for _ in 0..SAID / 10 {
            fill(&broker, 10, "hello").await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (mut at, mut turn) = (0, 0);
    while at < SAID as u64 {
        let (mut socket, since, lost) = visit(&nodes[turn % 2], Some(at)).await;
        assert_eq!((since, lost), (at, false));
        turn += 1;
        for _ in 0..(SAID as u64 - at).min(17) {
            at += 1;
            assert_eq!(hear(&mut socket).await.unwrap()["id"], at);
        }
    }
    speaking.await.unwrap();
}

/// The same without nodes, so often that every interleaving happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_begins_where_the_last_one_ended() {
    const SAID: u64 = 50_000;
    const AHEAD: u64 = 3;
    let (broker, heard) = (alone(), Arc::new(AtomicU64::new(0)));
    let speaking = tokio::spawn({
        let (broker, heard) = (Arc::clone(&broker), Arc::clone(&heard));
        async move {
            for id in 1..=SAID {
                while id > heard.load(Ordering::Relaxed) + AHEAD {
                    tokio::task::yield_now().await;
                }
                broker.say("null").await.unwrap();
            }
        }
    });
    let mut at = 0;
    while at < SAID {
        let mut listener = broker.listen(Some(at)).await.unwrap();
        // The last of these is not a missed message.
        for _ in 0..(SAID - at).min(AHEAD + 1) {
            at += 1;
            let next = timeout(SOON, listener.next()).await;
            assert_eq!(next.expect("it is left out").unwrap().id, at);
            heard.store(at, Ordering::Relaxed);
        }
    }
    speaking.await.unwrap();
}

#[tokio::test]
async fn who_was_away_for_longer_than_is_kept_is_told() {
    let broker = alone();
    let node = node(&broker, &Connections::new());
    fill(&broker, KEPT + 10, "hello").await;
    let newest = (KEPT + 10) as u64;
    for (name, since, begins, lost) in [
        ("a newcomer", None, newest, false),
        ("one who missed nothing", Some(newest), newest, false),
        ("one who missed all that is kept", Some(10), 10, false),
        ("one who missed one more", Some(9), 10, true),
        ("one who was there before the broker was emptied", Some(newest + 1), 10, true),
    ] {
        let (mut socket, since, told) = visit(&node, since).await;
        assert_eq!((since, told), (begins, lost), "{name}");
        if since < newest {
            assert_eq!(hear(&mut socket).await.unwrap()["id"], since + 1, "{name}");
        }
    }
}

#[tokio::test]
async fn who_is_too_slow_is_sent_away_and_catches_up() {
    let broker = alone();
    let node = node(&broker, &Connections::new());
    let (mut slow, mut at, _) = visit(&node, None).await;
    // More than fits between the two ends, and then more than fits into the queue.
    for _ in 0..2 * QUEUE {
        fill(&broker, 1, &"hello".repeat(400)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(hear_out(&mut slow, &mut at).await, u16::from(CloseCode::Again));
    assert!(at < 2 * QUEUE as u64);
    let (mut back, since, lost) = visit(&node, Some(at)).await;
    assert_eq!((since, lost), (at, false));
    while at < 2 * QUEUE as u64 {
        at += 1;
        assert_eq!(hear(&mut back).await.unwrap()["id"], at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_everybody_to_another_node() {
    let (broker, connections) = (alone(), Connections::new());
    let (leaving, staying) = (node(&broker, &connections), node(&broker, &Connections::new()));
    let (mut first, mut at, _) = visit(&leaving, None).await;
    let (mut second, ..) = visit(&leaving, None).await;
    let began = tokio::time::Instant::now();
    let draining =
        tokio::spawn(connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(20)).into_future());
    fill(&broker, 1, "hello").await;
    assert_eq!(hear_out(&mut first, &mut at).await, u16::from(CloseCode::Restart));
    assert!(first.try_next().await.unwrap().is_none());
    let refused = leaving.ws("/chat").subprotocols(["v1.chat"]).connect().await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);

    let (mut back, since, lost) = visit(&staying, Some(at)).await;
    assert_eq!((since, lost), (at, false));
    fill(&broker, 1, "hello").await;
    while at < 2 {
        at += 1;
        assert_eq!(hear(&mut back).await.unwrap()["id"], at);
    }
    // Closed in its turn, and hears all messages until then.
    assert_eq!(hear_out(&mut second, &mut 0).await, u16::from(CloseCode::Restart));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(second.try_next().await.unwrap().is_none());
    assert_eq!(draining.await.unwrap().closed, 2);
}

#[tokio::test]
async fn a_node_without_its_broker_lets_nobody_in() {
    // Nothing listens there.
    let broker = Arc::new(Broker::Redis(RedisStream::follow("redis://127.0.0.1:1").unwrap()));
    assert!(!broker.is_there());
    let refused = node(&broker, &Connections::new()).ws("/chat").subprotocols(["v1.chat"]).connect().await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}
