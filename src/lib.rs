//! Protects WebSockets in axum, tower and hyper from foreign pages, and hands your handler the upgraded stream.
//!
//! A browser lets any page open a WebSocket to your server, with your visitor's cookies: cross-site WebSocket hijacking. One line stops
//! this. Your handlers do not change:
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::Router;
//! use ws_handshake::WsHandshakeLayer;
//!
//! fn guarded(app: Router) -> Router {
//!     app.layer(WsHandshakeLayer::new()) // last, after every route
//! }
//! ```
//!
//! The layer checks each handshake by RFC 6455, RFC 8441 and RFC 9220. By default, same-origin pages and non-browser clients may connect.
//! [`WsHandshakeLayer`] has the methods for other origins, hosts, subprotocols and compression.
//!
//! # A handler
//!
//! A handler that takes [`WsStream`] accepts the handshake and gets the byte stream, for the framing library that you prefer. Here it is
//! tokio-tungstenite, with the feature `tungstenite`:
//!
#![cfg_attr(all(feature = "axum", feature = "tungstenite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "tungstenite")), doc = "```ignore")]
//! use axum::{Router, routing::any};
//! use futures_util::{SinkExt, TryStreamExt};
//! use ws_handshake::{Connections, WsHandshakeLayer, WsStream};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = WsHandshakeLayer::new()
//!     .add_trusted_origins(["https://*.example.com"])?
//!     .connections(Connections::new().limit(10_000));
//! // `any`, because over HTTP/2 the method is `CONNECT`.
//! let app = Router::new().route("/ws", any(echo)).layer(layer);
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//!
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
//! # The guide
//!
//! The [guide] reads from top to bottom. Some of its pages:
//!
//! - start: [protect an existing app](guide::guard), [why `Origin` matters](guide::why), [other frameworks](guide::frameworks)
//! - build: [who may connect](guide::policy), [handlers](guide::handlers), [framing libraries](guide::framing)
//! - run: [limits, lifetimes and graceful shutdown](guide::connections), [reverse proxies](guide::proxies),
//!   [authentication](guide::authentication), [observability](guide::observing)
//! - help: [troubleshooting](guide::troubleshooting), [FAQ](guide::faq)
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `axum` | yes | extractors for [`WsUpgrade`] and [`WsStream`], and [`WsUpgrade::on_upgrade`] |
//! | `http2` | yes | WebSockets over HTTP/2. Without it, the layer refuses them (501) |
//! | `metrics` | | counters, a gauge and a histogram, for the `metrics` facade: [`describe_metrics`] |
//! | `tungstenite`, `fastwebsockets`, `tokio-websockets`, `yawc` | | one method on [`WsStream`] for that framing library |
//! | `client` | | [`WsRequest`]: the client's handshake, on a connection that you opened |
//! | `testing` | | [`testing::TestServer`]: tests in memory, through the real layer |
//! | `tower` | | the layer for any tower service on hyper. It logs with `tracing` |
//! | none | | [`Policy`] and [`mod@handshake`]: the rules as pure functions. Four dependencies: `arc-swap`, `base64`, `http`, `sha1` |
//!
//! # Limits
//!
//! The layer refuses more than 32 subprotocols, more than 32 extensions, an `Origin` of more than 512 bytes, and a host name of more than 254
//! bytes (400).
#![cfg_attr(
    not(all(feature = "axum", feature = "client", feature = "metrics", feature = "testing")),
    expect(rustdoc::broken_intra_doc_links, reason = "the page names items of every feature")
)]
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

// Compiled by the tests, with every feature.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        doctest,
        feature = "axum",
        feature = "client",
        feature = "fastwebsockets",
        feature = "testing",
        feature = "tokio-websockets",
        feature = "tungstenite",
        feature = "yawc"
    )
))]
pub mod guide;
