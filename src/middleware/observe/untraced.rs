//! As if by `traced.rs`, without the feature `tracing`.

use http::{StatusCode, Uri};

use super::super::upgrade_error::UpgradeError;
use crate::handshake::{Rejection, RejectionKind, ServerHandshake, client::Head};

pub(super) fn approved(_: &ServerHandshake, _: &Uri) {}
pub(super) fn refused(_: &Rejection, _: Head<'_>) {}
pub(in super::super) fn not_extracted(_: RejectionKind, _: Head<'_>) {}
pub(in super::super) fn not_accepted(_: StatusCode) {}
pub(in super::super) fn connect_not_routed() {}
pub(in super::super) fn accepts_nothing(_: StatusCode, _: StatusCode) {}
#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub(in super::super) fn deflate_not_known() {}
pub(in super::super) fn upgrade_failed(_: UpgradeError) {}
pub(in super::super) fn returned(_: Option<StatusCode>) {}
pub(in super::super) fn no_runtime() {}
pub(in super::super) fn reports_only() {}
pub(in super::super) fn in_current_span<F: Future>(future: F) -> F {
    future
}

#[derive(Debug)]
pub(in super::super) struct Path;

impl Path {
    pub(super) fn of(_: &Uri) -> Option<Self> {
        None
    }
}

#[derive(Clone, Debug)]
pub(in super::super) struct ConnectionSpan;

#[expect(clippy::unused_self, reason = "as the span that there is with the feature `tracing`")]
impl ConnectionSpan {
    pub(super) fn new(_: &ServerHandshake, _: &Path) -> Self {
        Self
    }

    pub(super) fn disabled() -> Self {
        Self
    }

    pub(super) fn is_disabled(&self) -> bool {
        true
    }

    pub(super) fn open(&self, _: Option<&str>) {}
    pub(super) fn end(&self, _: u64, _: u64, _: &'static str) {}

    pub(in super::super) fn wrap<F: Future>(self, future: F) -> F {
        future
    }
}
