//! Tests WebSocket handlers in memory: hyper's real client and server, with the layer and your whole app between them, and without a socket
//! or port.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use axum::{Router, routing::any};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream, testing::TestServer};
//!
//! async fn echo(stream: WsStream) {
//!     let (mut read, mut write) = tokio::io::split(stream);
//!     let _ = tokio::io::copy(&mut read, &mut write).await;
//! }
//!
//! let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v1.chat"]).unwrap());
//! let server = TestServer::new(Router::new().route("/chat", any(echo)).layer(layer));
//!
//! // A page of the same origin, as a browser would connect.
//! let chat = server.ws("/chat").origin("http://localhost").subprotocols(["v1.chat"]);
//! let (mut stream, response) = chat.connect().await.unwrap();
//! assert_eq!(response.status(), 101);
//! assert_eq!(stream.subprotocol(), Some("v1.chat"));
//! stream.write_all(b"hello").await.unwrap();
//! let mut echo = [0; 5];
//! stream.read_exact(&mut echo).await.unwrap();
//! assert_eq!(&echo, b"hello");
//!
//! // A foreign page.
//! let refusal = server.ws("/chat").origin("https://evil.example").connect().await.unwrap_err();
//! assert_eq!(refusal.status(), 403);
//! # }
//! ```
//!
//! The stream is the client's end, and the framing libraries take it in the client's role: `stream.into_tungstenite(None)`. For a request
//! that is not a handshake, call the `Router` with `tower::ServiceExt::oneshot`.
//!
//! You can choose the origin, host, offers and other headers. To send a handshake that breaks other rules, write its bytes to a socket.
//!
//! Nothing here waits for real time or for another machine. So with tokio's `start_paused`, a test of timeouts and drains takes no time,
//! and always runs the same way.
//!
//! [`assert_guarded`] checks that pages of other origins cannot connect:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use axum::{Router, extract::ws::WebSocketUpgrade, routing::any};
//! use ws_handshake::{WsHandshakeLayer, testing::assert_guarded};
//!
//! let app = Router::new()
//!     .route("/ws", any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |_| {})))
//!     .layer(WsHandshakeLayer::new());
//! assert_guarded(app, "/ws").await;
//! # }
//! ```

mod foreign_origins;
mod guarded;
mod server;

pub use self::{
    foreign_origins::{ForeignOrigin, foreign_origins},
    guarded::assert_guarded,
    server::{TestRequest, TestServer},
};
