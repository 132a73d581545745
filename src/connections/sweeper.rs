//! Whether the sweeping task runs, and on which runtime it can start.

use tokio::runtime::Handle;

use crate::sync::{Mutex, atomic::AtomicBool, lock};

#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) is_running: AtomicBool,
    /// Whether a sweep may be needed although no lifetimes are set: a connection was closed, or has an expiry time.
    pub(super) is_needed: AtomicBool,
    /// The runtime of the newest connection. Code that closes connections may run outside of any runtime, or in one that soon ends.
    runtime: Mutex<Option<Handle>>,
}

impl Sweeper {
    pub(super) fn new() -> Self {
        Self { is_running: AtomicBool::new(false), is_needed: AtomicBool::new(false), runtime: Mutex::default() }
    }

    /// Called when a connection begins.
    pub(super) fn remember_runtime(&self) {
        if let Ok(runtime) = Handle::try_current() {
            let before = lock(&self.runtime).replace(runtime);
            drop(before);
        }
    }

    pub(super) fn runtime(&self) -> Option<Handle> {
        lock(&self.runtime).clone()
    }

    /// Returns the [`runtime`](Self::runtime), and forgets it.
    pub(super) fn take_runtime(&self) -> Option<Handle> {
        lock(&self.runtime).take()
    }
}
