//! A tower `Layer` that owns the WebSocket opening handshake.
pub mod handshake;
mod policy;

pub use self::{
    handshake::{Origin, Rejection},
    policy::{AllowHost, AllowOrigin, ConfigError, Deciding, OriginList, OriginPattern, Policy, Subprotocols},
};
