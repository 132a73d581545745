//! A tower `Layer` that owns the WebSocket opening handshake.
pub mod handshake;
mod policy;

#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tower")]
mod middleware;

#[cfg(feature = "axum")]
pub use self::extract::WsStreamRejection;
#[cfg(feature = "tower")]
pub use self::middleware::{
    DefaultRejectionResponse, Downcast, EmptyBody, NotOffered, RejectionResponse, ResponseFuture, UpgradeError,
    WsHandshake, WsHandshakeLayer, WsStream, WsStreamParts, WsUpgrade,
};
pub use self::{
    handshake::{Origin, Rejection, RejectionKind, ReportedRejection},
    policy::{AllowHost, AllowOrigin, ConfigError, Deciding, OriginList, OriginPattern, Policy, Subprotocols},
};
