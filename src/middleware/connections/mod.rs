//! How many connections there are, who has them, and how they come to an end together.
//!
//! This part knows nothing of handshakes and layers: it counts permits, and signals to whoever holds one.

mod drain;
mod handle;
mod key_limit;
mod permit;
mod registry;
mod signal;

pub use self::{
    drain::Drained, handle::Connections, key_limit::ConnectionKey, permit::ConnectionPermit, signal::Closing,
};
pub(super) use self::{permit::Membership, registry::Full, signal::Half};

#[cfg(test)]
mod tests;
