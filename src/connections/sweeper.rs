//! Whether a task sweeps, and where one could.

use tokio::runtime::Handle;

use crate::sync::{Mutex, atomic::AtomicBool, lock};

#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) is_running: AtomicBool,
    /// Whether a connection may be due although no lifetimes are set: one has been closed, or is to expire.
    pub(super) is_needed: AtomicBool,
    /// That of the newest connection. Whoever closes connections may be outside of any runtime, or in one that soon ends.
    runtime: Mutex<Option<Handle>>,
}

impl Sweeper {
    pub(super) fn new() -> Self {
        Self { is_running: AtomicBool::new(false), is_needed: AtomicBool::new(false), runtime: Mutex::default() }
    }

    /// Called where a connection begins.
    pub(super) fn remember_runtime(&self) {
        if let Ok(runtime) = Handle::try_current() {
            let before = lock(&self.runtime).replace(runtime);
            drop(before);
        }
    }

    pub(super) fn runtime(&self) -> Option<Handle> {
        lock(&self.runtime).clone()
    }

    /// As [`runtime`](Self::runtime), and forgets it.
    pub(super) fn take_runtime(&self) -> Option<Handle> {
        lock(&self.runtime).take()
    }
}
