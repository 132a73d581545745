//! A timeout that starts at the first wait.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Sleep, sleep},
};

/// The deadline creates no timer before its first poll, because most handshakes are decided and answered at once.
#[derive(Default)]
pub(super) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Whether the timeout is over. The time starts at the first poll.
    pub(super) fn poll(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(time)));
        // A future that is always busy uses up this task's budget, and without budget no timer fires.
        pin!(unconstrained(timer.as_mut())).poll(cx)
    }
}
