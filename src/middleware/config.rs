//! What the services of a layer share.

use std::{fmt, time::Duration};

use http::request::Parts;

use super::{
    connections::{handle::Connections, permit::ConnectionPermit, registry::Full},
    handoff::Handoff,
};
use crate::{handshake::RejectionKind, policy::Policy};

/// The knobs of a layer, as they were set.
#[derive(Clone)]
pub(super) struct Config<R> {
    pub(super) policy: Policy,
    pub(super) connections: Option<Connections>,
    pub(super) handoff_timeout: Duration,
    pub(super) decision_timeout: Duration,
    pub(super) respond: R,
}

impl<R> Config<R> {
    /// Takes a place among the connections for a handshake that the policy does not refuse.
    pub(super) fn admit(&self, parts: &Parts) -> Result<Option<ConnectionPermit>, RejectionKind> {
        let Some(connections) = &self.connections else { return Ok(None) };
        let membership = Handoff::membership(&parts.extensions, connections);
        connections.admit(parts, membership).map_err(|full| match full {
            Full::Closed => RejectionKind::ServerDraining,
            Full::Limit => RejectionKind::ConnectionLimitReached,
            Full::KeyLimit => RejectionKind::KeyLimitReached,
        })
    }
}

impl<R> fmt::Debug for Config<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("policy", &self.policy)
            .field("connections", &self.connections)
            .field("handoff_timeout", &self.handoff_timeout)
            .field("decision_timeout", &self.decision_timeout)
            .finish_non_exhaustive()
    }
}
