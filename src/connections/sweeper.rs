//! Whether a task sweeps, and where one could.

use tokio::runtime::Handle;

use crate::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
    lock,
};

#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) is_running: AtomicBool,
    /// Whether a connection may be due although no lifetimes are set: one has been closed, or is to expire.
    pub(super) is_needed: AtomicBool,
    has_runtime: AtomicBool,
    /// The runtime of a connection. Whoever closes connections may be outside of any, or in one that soon ends.
    runtime: Mutex<Option<Handle>>,
}

impl Sweeper {
    pub(super) fn new() -> Self {
        Self {
            is_running: AtomicBool::new(false),
            is_needed: AtomicBool::new(false),
            has_runtime: AtomicBool::new(false),
            runtime: Mutex::default(),
        }
    }

    /// Called where a connection begins.
    pub(super) fn remember_runtime(&self) {
        if !self.has_runtime.load(Ordering::Relaxed) {
            self.set_runtime(Handle::try_current().ok());
        }
    }

    /// The runtime has ended.
    pub(super) fn forget_runtime(&self) {
        self.set_runtime(None);
    }

    pub(super) fn runtime(&self) -> Option<Handle> {
        lock(&self.runtime).clone()
    }

    fn set_runtime(&self, runtime: Option<Handle>) {
        let mut known = lock(&self.runtime);
        self.has_runtime.store(runtime.is_some(), Ordering::Relaxed);
        *known = runtime;
    }
}
