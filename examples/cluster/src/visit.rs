//! One client's visit to this node.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::StatusCode,
};
use futures_util::{SinkExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use ws_handshake::{CloseReason, UpgradeError, WsStream, WsUpgrade};

use super::broker::{Broker, Listener};

/// How long a client may read nothing, and how long it may take to answer a close.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct Place {
    since: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct Saying {
    key: String,
    from: String,
    text: String,
}

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The handler is the connection. A node without its broker refuses, so that the client or the proxy tries another.
pub(super) async fn chat(
    State(broker): State<Arc<Broker>>, Query(place): Query<Place>, ws: WsUpgrade,
) -> Result<StatusCode, UpgradeError> {
    let Ok(listener) = broker.listen(place.since).await else { return Ok(StatusCode::SERVICE_UNAVAILABLE) };
    let stream = ws.accept().await?;
    if let Err(error) = visit(&broker, listener, stream).await {
        eprintln!("a visit ended: {error}");
    }
    Ok(StatusCode::OK) // nobody reads this
}

async fn visit(broker: &Broker, mut listener: Listener, stream: WsStream) -> Result {
    let mut closing = stream.closing();
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .max_message_size(Some(4 << 10))
        .max_frame_size(Some(4 << 10));
    let mut socket = stream.into_tungstenite(Some(config)).await?;
    send(&mut socket, listener.greeting()).await?;
    let (code, reason) = loop {
        tokio::select! {
            said = listener.next() => match said {
                Ok(said) => send(&mut socket, said.frame).await?,
                Err(later) => break (CloseCode::Again, later.to_string()),
            },
            message = socket.try_next() => {
                let Some(message) = message? else { return Ok(()) };
                let Message::Text(text) = message else { continue };
                let Ok(saying) = serde_json::from_str::<Saying>(&text) else {
                    break (CloseCode::Policy, "this is not how something is said here".into());
                };
                match broker.say(&serde_json::to_string(&saying)?).await {
                    Ok(id) => send(&mut socket, json!({"ack": saying.key, "id": id}).to_string()).await?,
                    Err(later) => break (CloseCode::Again, later.to_string()),
                }
            },
            () = &mut closing => break (CloseCode::Restart, match closing.reason() {
                Some(CloseReason::MaxAge) => "this connection is old".into(),
                _ => "this node restarts".into(),
            }),
        }
    };
    let leave = async {
        socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
        // Messages that the client sends before it answers the close are not acknowledged. The client sends them again elsewhere.
        while socket.try_next().await?.is_some() {}
        Ok(())
    };
    timeout(PATIENCE, leave).await?
}

async fn send(socket: &mut WebSocketStream<WsStream>, text: impl Into<Utf8Bytes>) -> Result {
    Ok(timeout(PATIENCE, socket.send(Message::Text(text.into()))).await??)
}
