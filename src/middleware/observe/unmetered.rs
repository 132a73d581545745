//! As if by `metered.rs`, without the feature `metrics`.

use std::time::Duration;

use crate::handshake::RejectionKind;

pub(super) fn approved(_: &'static str) {}
pub(super) fn refused(_: RejectionKind, _: &'static str) {}

pub(super) struct Meter;

#[expect(clippy::unused_self, reason = "as the meter that there is with the feature `metrics`")]
impl Meter {
    pub(super) const IS_DISABLED: bool = true;

    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn read(&self, _: u64) {}
    pub(super) fn wrote(&self, _: u64) {}
    pub(super) fn end(&self, _: Duration, _: &'static str) {}
}
