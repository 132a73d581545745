//! The broker of a single node: keeps messages in memory, until the node ends.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

use super::broker::{KEPT, QUEUE, Said};

pub(super) struct InProcess {
    kept: Mutex<VecDeque<Said>>,
    live: broadcast::Sender<Said>,
}

impl Default for InProcess {
    fn default() -> Self {
        Self { kept: Mutex::default(), live: broadcast::Sender::new(QUEUE) }
    }
}

impl InProcess {
    pub(super) fn say(&self, message: &str) -> u64 {
        let mut kept = self.lock();
        let id = kept.back().map_or(1, |last| last.id + 1);
        let said = Said::new(id, message);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(said.clone());
        // Under the lock, so that messages are heard in order. An error says that nobody listens.
        let _ = self.live.send(said);
        id
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Said> {
        self.live.subscribe()
    }

    pub(super) fn newest(&self) -> u64 {
        self.lock().back().map_or(0, |last| last.id)
    }

    pub(super) fn kept(&self, first: u64) -> Vec<Said> {
        self.lock().iter().filter(|said| said.id >= first).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Said>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
