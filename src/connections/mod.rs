//! How many connections there are, who has them, and how they end together.
//!
//! Connections know nothing of handshakes and layers: they count permits, and signal to the holder of each permit.

#[expect(clippy::module_inception, reason = "the file is named after the type that it holds")]
mod connections;
mod drain;
mod graceful_shutdown;
mod key;
mod key_limit;
mod permit;
mod registry;
mod signal;
mod waker;

pub use self::{
    connections::Connections,
    drain::{Drain, Drained},
    graceful_shutdown::GracefulShutdown,
    key::{ConnectionKey, forwarded_for},
    permit::ConnectionPermit,
    signal::Closing,
};
pub(crate) use self::{permit::Membership, registry::Full, signal::Half, waker::replace_waker};

#[cfg(test)]
mod tests;
