//! The handshake as a tower middleware on hyper's upgrades.

mod config;
mod connections;
mod extended_connect;
mod future;
mod handoff;
mod layer;
mod observe;
mod response;
mod service;
mod stream;
mod upgrade;
mod upgrade_error;

#[cfg(feature = "client")]
pub(crate) use self::handoff::RESERVED;
#[cfg(feature = "metrics")]
pub use self::observe::describe_metrics;
#[cfg(any(
    feature = "fastwebsockets",
    feature = "tungstenite",
    feature = "yawc",
    all(feature = "tokio-websockets", feature = "client")
))]
pub(crate) use self::stream::Side;
pub use self::{
    connections::{Closing, ConnectionKey, ConnectionPermit, Connections, Drained, forwarded_for},
    future::ResponseFuture,
    layer::WsHandshakeLayer,
    response::{DefaultRejectionResponse, EmptyBody, RejectionResponse},
    service::WsHandshake,
    stream::{Downcast, WsStream, WsStreamParts},
    upgrade::{NotOffered, WsUpgrade},
    upgrade_error::UpgradeError,
};
