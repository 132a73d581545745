//! Both chats behave alike: `chat` with axum's extractor, and `chat_on_stream`.

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use tokio::{io::AsyncReadExt, sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::Message;
use ws_handshake::Connections;

use crate::{
    chat_on_stream,
    visitor::{Server, close_code, hear, say, within},
};

/// Which of the two chats.
#[derive(Clone, Copy)]
enum Chat {
    Extractor,
    Stream,
}

/// A chat with a limit of two connections, and the sender that stops the chat.
async fn start(chat: Chat) -> (Server, Connections, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let connections = Connections::new().limit(2);
    let signal = async move { drop(stopped.await) };
    let ours = connections.clone();
    let server = match chat {
        Chat::Extractor => Server::start(|listener| super::serve(listener, ours, signal)).await,
        Chat::Stream => Server::start(|listener| chat_on_stream::serve(listener, ours, signal)).await,
    };
    (server, connections, stop)
}

async fn everybody_hears_everybody(chat: Chat) {
    let (server, _connections, _stop) = start(chat).await;
    server.refuses_foreign_pages("/chat").await;
    assert_eq!(server.get("/").await, (200, "The chat is at /chat.".to_owned()));

    let mut ann = server.open("/chat").await;
    say(&mut ann, "Ann").await;
    assert_eq!(hear(&mut ann).await, "Ann joined");
    let mut bob = server.open("/chat").await;
    within(bob.send(Message::Ping("still there?".into()))).await.unwrap();
    say(&mut bob, "Bob").await;
    assert_eq!(hear(&mut ann).await, "Bob joined");
    say(&mut ann, "hello").await;
    assert_eq!(hear(&mut ann).await, "Ann: hello");
    drop(bob);
    assert_eq!(hear(&mut ann).await, "Bob left");
}

async fn limit_holds(chat: Chat) {
    let (server, connections, _stop) = start(chat).await;
    let own = server.origin();
    let mut ann = server.open("/chat").await;
    let _bob = server.open("/chat").await;
    assert_eq!(server.handshake("/chat", &own, None).await.unwrap_err(), 503);

    within(ann.close(None)).await.unwrap();
    within(async {
        while connections.len() == 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(server.open("/chat").await);
}

async fn shutdown_closes_every_client(chat: Chat) {
    let (server, connections, stop) = start(chat).await;
    let mut ann = server.open("/chat").await;
    let mut bob = server.open("/chat").await;
    say(&mut ann, "Ann").await;
    assert_eq!(hear(&mut bob).await, "Ann joined");
    stop.send(()).unwrap();
    let began = Instant::now();
    let codes = tokio::join!(close_code(&mut ann), close_code(&mut bob));
    assert_eq!(codes, (1001, 1001));
    within(connections.wait()).await;
    assert!(began.elapsed().as_secs() < 4, "closed after {:?}", began.elapsed());
}

async fn server_waits_for_the_answer_to_its_close(chat: Chat) {
    /// A close frame with code 1001.
    const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe9];

    let (server, _connections, stop) = start(chat).await;
    let mut socket = server.open("/chat").await;
    stop.send(()).unwrap();
    let connection = socket.get_mut();
    let mut close = [0; 4];
    within(connection.read_exact(&mut close)).await.unwrap();
    assert_eq!(close, CLOSE);
    let next = timeout(Duration::from_millis(500), connection.read(&mut close)).await;
    assert!(next.is_err(), "the server has gone without the answer: {next:?}");
}

async fn silent_client_does_not_stop_a_shutdown(chat: Chat) {
    let (server, connections, stop) = start(chat).await;
    let _silent = server.open("/chat").await;
    stop.send(()).unwrap();
    within(server.stopped()).await;
    within(connections.wait()).await;
}

#[tokio::test]
async fn with_axums_extractor_everybody_hears_everybody() {
    everybody_hears_everybody(Chat::Extractor).await;
}

#[tokio::test]
async fn with_axums_extractor_the_limit_holds() {
    limit_holds(Chat::Extractor).await;
}

#[tokio::test]
async fn with_axums_extractor_a_shutdown_closes_every_client() {
    shutdown_closes_every_client(Chat::Extractor).await;
}

#[tokio::test]
async fn with_axums_extractor_the_server_waits_for_the_answer_to_its_close() {
    server_waits_for_the_answer_to_its_close(Chat::Extractor).await;
}

#[tokio::test]
async fn with_axums_extractor_a_silent_client_does_not_stop_a_shutdown() {
    silent_client_does_not_stop_a_shutdown(Chat::Extractor).await;
}

#[tokio::test]
async fn on_the_stream_everybody_hears_everybody() {
    everybody_hears_everybody(Chat::Stream).await;
}

#[tokio::test]
async fn on_the_stream_the_limit_holds() {
    limit_holds(Chat::Stream).await;
}

#[tokio::test]
async fn on_the_stream_a_shutdown_closes_every_client() {
    shutdown_closes_every_client(Chat::Stream).await;
}

#[tokio::test]
async fn on_the_stream_the_server_waits_for_the_answer_to_its_close() {
    server_waits_for_the_answer_to_its_close(Chat::Stream).await;
}

#[tokio::test]
async fn on_the_stream_a_silent_client_does_not_stop_a_shutdown() {
    silent_client_does_not_stop_a_shutdown(Chat::Stream).await;
}

#[tokio::test]
async fn both_work_over_http2() {
    for chat in [Chat::Extractor, Chat::Stream] {
        let (server, _connections, _stop) = start(chat).await;
        let mut ann = server.open_over_http2("/chat", &[]).await;
        say(&mut ann, "Ann").await;
        assert_eq!(hear(&mut ann).await, "Ann joined");
    }
}
