//! A tower `Layer` that owns the WebSocket opening handshake for axum, tower and hyper.
//!
//! It decides every WebSocket handshake by the letter of RFC 6455 and RFC 8441, lets only the pages connect that may
//! (same-origin by default), selects the subprotocol, and hands the upgraded byte stream to the handler. It does not
//! frame messages: that is for the library of your choice, on a stream that any of them takes.
//!
#![cfg_attr(all(feature = "axum", feature = "tungstenite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "tungstenite")), doc = "```ignore")]
//! use axum::{Router, routing::any};
//! use futures_util::{SinkExt, TryStreamExt};
//! use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! // `any`, not `get`: over HTTP/2 the method is `CONNECT`.
//! let app = Router::new().route("/ws", any(echo)).layer(
//!     WsHandshakeLayer::new()
//!         .add_trusted_origins(["https://*.example.com"])?
//!         .subprotocols(Subprotocols::new(["v2.chat", "v1.chat"])?),
//! );
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//!
//! /// Extracting the stream accepts the handshake: the handler is the connection.
//! async fn echo(stream: WsStream) {
//!     let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
//!     while let Ok(Some(message)) = socket.try_next().await {
//!         if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
//!             return;
//!         }
//!     }
//! }
//! ```
//!
//! Put the layer last, after every route: it protects only the routes that were added before it.
//!
//! `into_tungstenite` needs the feature `tungstenite`. Its read buffer is 4 KiB; tungstenite's own default is 128 KiB for
//! each socket.
//!
//! # Three floors
//!
//! - [`handshake`] and the policy ([`Policy`], [`AllowOrigin`], [`AllowHost`], [`Subprotocols`]): the RFCs and this
//!   server's rules as pure functions over the `http` crate's types, always there.
//! - The middleware (`WsHandshakeLayer`, `WsUpgrade`, `WsStream`): tower and hyper. Feature `tower`.
//! - The axum extractors. Feature `axum`, on by default, as is `http2`.
//!
//! Above them stand the framing libraries on the stream, the client's end, and what tests an application in memory.
//!
//! A newcomer to the code reads `handshake/mod.rs` (the rules), `policy/decide.rs` (the decision), `middleware/service.rs`
//! (where it is applied), `middleware/handoff.rs` (when the stream is released) and `extract.rs` (what a handler gets).
//!
//! # Features
//!
//! - `axum` (default): extractors for `WsUpgrade` and `WsStream`, and `WsUpgrade::on_upgrade`.
//! - `http2` (default): handshakes over HTTP/2. Without it they are refused (501). The server has to announce extended `CONNECT`,
//!   as `axum::serve` does with axum's own feature `http2`.
//! - `metrics`: handshakes, connections and bytes, counted by the `metrics` facade.
//! - `tungstenite`, `fastwebsockets`, `tokio-websockets`, `yawc`: that framing library on the stream.
//! - `client`: `WsRequest`, the other end of the handshake, over a connection of your own.
//! - `testing`: `testing::TestServer`, upgrades in memory through the real layer.
//! - `tower`: the middleware alone. It logs with `tracing`: one event for each handshake decided and for each thing that goes
//!   wrong after that, and a span for each connection.
//!
//! Without any of them there are four dependencies: `arc-swap`, `base64`, `http` and `sha1`.
//!
//! # Limits
//!
//! A request that offers more than 32 subprotocols or 32 extensions is refused, and an `Origin` longer than 512 bytes or
//! a host name longer than 254 is malformed.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "tower")]
mod connections;
#[cfg(feature = "axum")]
mod extract;
#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite", feature = "yawc"))]
mod framing;
mod grammar;
pub mod handshake;
#[cfg(feature = "tower")]
mod middleware;
#[cfg(feature = "tower")]
mod observe;
mod policy;
#[cfg(feature = "tower")]
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(feature = "client", feature = "http2"))]
pub use self::client::connect_http2;
#[cfg(feature = "client")]
pub use self::client::{ClientError, ClientErrorKind, WsRequest};
#[cfg(feature = "axum")]
pub use self::extract::WsStreamRejection;
#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub use self::framing::DeflateAgreed;
#[cfg(feature = "metrics")]
pub use self::observe::describe_metrics;
#[cfg(feature = "tower")]
pub use self::{
    connections::{
        CloseHandle, CloseReason, Closing, ConnectionId, ConnectionKey, ConnectionPermit, Connections, Drain, Drained,
        GracefulShutdown, forwarded_for,
    },
    middleware::{
        DefaultRejectionResponse, Downcast, EmptyBody, NotOffered, RejectionResponse, ResponseFuture, UpgradeError,
        WsHandshake, WsHandshakeLayer, WsStream, WsStreamParts, WsUpgrade,
    },
};
pub use self::{
    handshake::{DeflateParams, Origin, Rejection, RejectionKind, ReportedRejection},
    policy::{
        AllowHost, AllowOrigin, ConfigError, Deciding, OriginList, OriginPattern, PermessageDeflate, Policy,
        Subprotocols,
    },
};

#[cfg(all(
    doctest,
    feature = "axum",
    feature = "fastwebsockets",
    feature = "testing",
    feature = "tokio-websockets",
    feature = "tungstenite",
    feature = "yawc"
))]
mod guide;
