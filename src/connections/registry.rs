//! All connections that there are, with the signal of each.

use std::{
    array,
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::{
    lifetimes::Lifetimes,
    signal::{Signal, Turn},
    sweeper::Sweeper,
    tick::Tick,
};
use crate::sync::{
    Mutex, MutexGuard, Notify,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    lock,
};

/// The connections that have been let in, in shards, so that those that come and go seldom wait for one another.
///
/// Nothing here is touched while a connection reads and writes.
#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<HashSet<Entry>>; SHARDS],
    open: AtomicUsize,
    closed: AtomicBool,
    /// Whether a permit has been left behind by a handler that uses another extractor: perhaps, and surely.
    unclaimed: [AtomicBool; 2],
    /// Notified whenever the last connection has gone.
    empty: Notify,
    pub(super) lifetimes: Lifetimes,
    pub(super) sweeper: Sweeper,
}

/// One where a model is checked: which of several an address comes to differs from run to run.
pub(super) const SHARDS: usize = if cfg!(all(test, ws_loom)) { 1 } else { 16 };

/// How many connections are signalled before other tasks have their turn.
pub(super) const BETWEEN_YIELDS: u32 = 128;

/// A connection, which is its signal, and no other of the same kind: it takes the room of a pointer.
#[derive(Debug)]
struct Entry(Arc<Signal>);

impl Entry {
    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Entry {}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Nobody is let in any more.
    Closed,
    /// There are as many as there may be.
    Limit,
    /// There are as many for this key as there may be.
    KeyLimit,
    /// The key tries too often: it may try again after this time.
    Rate(Duration),
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            shards: array::from_fn(|_| Mutex::default()),
            open: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            unclaimed: Default::default(),
            empty: Notify::new(),
            lifetimes: Lifetimes::new(),
            sweeper: Sweeper::new(),
        }
    }

    /// Lets a connection in, unless there are `limit` of them.
    pub(super) fn enter(&self, limit: usize, signal: &Arc<Signal>) -> Result<(), Full> {
        let one_more = |open| (open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).map_err(|_| Full::Limit)?;
        let entry = Entry(Arc::clone(signal));
        let mut shard = self.shard(&entry);
        // Under the lock: who walks the shards after closing sees everybody that was let in.
        if self.is_closed() {
            drop(shard);
            self.one_less();
            return Err(Full::Closed);
        }
        shard.insert(entry);
        Ok(())
    }

    /// Lets a connection go.
    pub(super) fn leave(&self, signal: &Arc<Signal>) {
        let entry = Entry(Arc::clone(signal));
        let mut shard = self.shard(&entry);
        shard.remove(&entry);
        if let Some(room) = room_to_keep(shard.len(), shard.capacity()) {
            shard.shrink_to(room);
        }
        drop(shard);
        self.one_less();
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Lets nobody in from here on. Every connection that is let in all the same has raised the count by now.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // A connection on its way in looks at `closed` under the lock of its shard. Either it sees `closed`, or it has been let
        // in before this takes the lock, and then whoever waits for the last connection sees it.
        for shard in &self.shards {
            drop(lock(shard));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this is the first call for a permit that is surely left behind, or perhaps: each is worth one warning.
    pub(super) fn is_first_unclaimed(&self, surely: bool) -> bool {
        !self.unclaimed[usize::from(surely)].swap(true, Ordering::Relaxed)
    }

    /// The signals of all connections that there are, in no order that tells anything.
    pub(super) fn signals(&self) -> Vec<Arc<Signal>> {
        let mut signals = Vec::with_capacity(self.open());
        for shard in &self.shards {
            signals.extend(lock(shard).iter().map(|entry| Arc::clone(&entry.0)));
        }
        signals
    }

    /// The connections of a shard that are due for something.
    pub(super) fn turns(&self, shard: usize, now: Tick, idle: Option<u32>) -> Vec<(Arc<Signal>, Turn)> {
        let due = |Entry(signal): &Entry| signal.turn(now, idle).map(|turn| (Arc::clone(signal), turn));
        lock(&self.shards[shard]).iter().filter_map(due).collect()
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

    fn shard(&self, entry: &Entry) -> MutexGuard<'_, HashSet<Entry>> {
        // The lowest bits of an address say how it is aligned.
        lock(&self.shards[(entry.address() / size_of::<Signal>()) % SHARDS])
    }
}

/// Gives memory back once a map has become much smaller than it was.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if let Some(room) = room_to_keep(map.len(), map.capacity()) {
        map.shrink_to(room);
    }
}

/// How much of its room a map keeps, if it has much more than it needs.
fn room_to_keep(len: usize, capacity: usize) -> Option<usize> {
    const ALWAYS: usize = 64;
    (capacity > ALWAYS && len < capacity / 4).then_some(len * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_room_for_twice_of_what_it_has() {
        let rows =
            [(0, 64, None), (0, 65, Some(0)), (15, 65, Some(30)), (16, 65, None), (16, 67, None), (25, 104, Some(50))];
        for (len, capacity, room) in rows {
            assert_eq!(room_to_keep(len, capacity), room, "{len} of {capacity}");
        }
        let mut map: HashMap<_, _> = (0..1000).map(|key| (key, key)).collect();
        map.retain(|key, _| *key < 30);
        shrink(&mut map);
        assert!((60..250).contains(&map.capacity()), "{}", map.capacity());
    }
}

#[cfg(all(test, ws_loom))]
mod models;
