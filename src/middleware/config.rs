//! The settings that the services of a layer share.

use std::{fmt, time::Duration};

use crate::{connections::Connections, policy::Policy};

/// The settings of a layer.
#[derive(Clone)]
pub(super) struct Config<R> {
    pub(super) policy: Policy,
    pub(super) connections: Option<Connections>,
    pub(super) handoff_timeout: Duration,
    pub(super) decision_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) respond: R,
}

impl<R> Config<R> {
    /// Whether the layer's connections are closed to new handshakes.
    pub(super) fn is_closed(&self) -> bool {
        self.connections.as_ref().is_some_and(Connections::is_closed)
    }
}

impl<R> fmt::Debug for Config<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("policy", &self.policy)
            .field("connections", &self.connections)
            .field("handoff_timeout", &self.handoff_timeout)
            .field("decision_timeout", &self.decision_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .finish_non_exhaustive()
    }
}
