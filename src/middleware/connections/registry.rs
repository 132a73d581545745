//! All connections that there are, with the signal of each.

use std::{
    array,
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::signal::Signal;

/// The connections that have been let in, in shards, so that those that come and go seldom wait for one another.
///
/// Nothing here is touched while a connection reads and writes.
#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<HashMap<u64, Arc<Signal>>>; SHARDS],
    next: AtomicU64,
    open: AtomicUsize,
    closed: AtomicBool,
    /// Notified whenever the last connection has gone.
    empty: Notify,
}

const SHARDS: usize = 16;

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Full {
    /// Nobody is let in any more.
    Closed,
    /// There are as many as there may be.
    Limit,
    /// There are as many for this key as there may be.
    KeyLimit,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            shards: array::from_fn(|_| Mutex::default()),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            empty: Notify::new(),
        }
    }

    /// Lets a connection in, unless there are `limit` of them. What comes back is its number.
    pub(super) fn enter(&self, limit: usize, signal: &Arc<Signal>) -> Result<u64, Full> {
        let one_more = |open| (open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).map_err(|_| Full::Limit)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut shard = self.shard(number);
        // Under the lock: who walks the shards after closing sees everybody that was let in.
        if self.is_closed() {
            drop(shard);
            self.one_less();
            return Err(Full::Closed);
        }
        shard.insert(number, Arc::clone(signal));
        Ok(number)
    }

    /// Lets a connection go.
    pub(super) fn leave(&self, number: u64) {
        let mut shard = self.shard(number);
        let signal = shard.remove(&number);
        shrink(&mut shard);
        drop(shard);
        drop(signal);
        self.one_less();
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The signals of all connections that there are, in no order that tells anything.
    pub(super) fn signals(&self) -> Vec<Arc<Signal>> {
        let mut signals = Vec::with_capacity(self.open());
        for shard in &self.shards {
            signals.extend(lock(shard).values().map(Arc::clone));
        }
        signals
    }

    /// Waits until there is no connection.
    pub(super) async fn emptied(&self) {
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            // From here on it hears of every notification, so that none falls between the question and the wait.
            empty.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            empty.await;
        }
    }

    fn one_less(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.empty.notify_waiters();
        }
    }

    fn shard(&self, number: u64) -> MutexGuard<'_, HashMap<u64, Arc<Signal>>> {
        let shard = usize::try_from(number % SHARDS as u64).unwrap_or_default();
        lock(&self.shards[shard])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives memory back once a map has become much smaller than it was.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    const KEPT: usize = 64;
    if map.capacity() > KEPT && map.len() < map.capacity() / 4 {
        map.shrink_to(map.len() * 2);
    }
}
