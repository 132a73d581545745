//! The tower middleware, on top of hyper's upgrades.

mod acceptance;
mod accepting;
mod config;
mod deadline;
mod extended_connect;
mod extraction;
mod future;
mod handling;
mod handoff;
mod layer;
mod permit;
mod report;
mod response;
mod service;
mod stream;
mod undecided;
mod upgrade;
mod upgrade_error;

#[cfg(any(
    feature = "fastwebsockets",
    feature = "tungstenite",
    feature = "yawc",
    all(feature = "tokio-websockets", feature = "client")
))]
pub(crate) use self::stream::Side;
pub use self::{
    future::ResponseFuture,
    layer::WsHandshakeLayer,
    response::{DefaultRejectionResponse, EmptyBody, RejectionResponse},
    service::WsHandshake,
    stream::{Downcast, WsStream, WsStreamParts},
    upgrade::{NotOffered, WsUpgrade},
    upgrade_error::UpgradeError,
};
