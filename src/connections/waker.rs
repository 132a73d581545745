//! The waker of a task that waits.

use std::task::Waker;

/// Keeps `waker` in `slot`. Returns the waker that was there before, for the caller to drop once it has released its lock:
/// dropping a waker can run code of any runtime.
#[must_use = "drop the waker after the lock is released"]
pub(crate) fn replace_waker(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    if slot.as_ref().is_some_and(|stored| stored.will_wake(waker)) { None } else { slot.replace(waker.clone()) }
}
