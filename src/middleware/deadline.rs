//! A time that runs from the first moment at which something has to be awaited.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Sleep, sleep},
};

/// It has no timer before it is polled: most handshakes are decided and answered at once.
#[derive(Default)]
pub(super) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Whether the time is over, which began when this was polled first.
    pub(super) fn poll(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(time)));
        // What is always busy leaves nothing of this task's budget, without which no timer fires.
        pin!(unconstrained(timer.as_mut())).poll(cx)
    }
}
