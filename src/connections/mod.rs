//! Counts connections, limits them, and closes them together.
//!
//! This module does not know about handshakes and layers: it counts permits, and signals to the holder of each permit.

mod close_handle;
mod close_reason;
#[expect(clippy::module_inception, reason = "the file is named after the type that it holds")]
mod connections;
mod drain;
mod graceful_shutdown;
mod id;
mod key;
mod key_limit;
mod lifetimes;
mod permit;
mod rate_limit;
mod registry;
mod signal;
mod sweep;
mod sweeper;
mod tick;
mod waker;

pub use self::{
    close_handle::CloseHandle,
    close_reason::CloseReason,
    connections::Connections,
    drain::{Drain, Drained},
    graceful_shutdown::GracefulShutdown,
    id::ConnectionId,
    key::{ConnectionKey, forwarded_for},
    permit::ConnectionPermit,
    signal::Closing,
};
pub(crate) use self::{permit::Membership, registry::Full, signal::Half, waker::replace_waker};

#[cfg(test)]
pub(crate) use self::connections::Asking;

#[cfg(test)]
mod tests;
