//! How many connections there are, who has them, and how they come to an end together.
//!
//! This part knows nothing of handshakes and layers: it counts permits, and signals to whoever holds one.

mod drain;
pub(super) mod handle;
mod key_limit;
pub(super) mod permit;
pub(super) mod registry;
pub(super) mod signal;

pub use self::{
    drain::Drained,
    handle::Connections,
    key_limit::{ConnectionKey, forwarded_for},
    permit::ConnectionPermit,
    signal::Closing,
};

#[cfg(test)]
mod tests;
