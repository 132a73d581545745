//! All open connections, with the signal of each.

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

/// The open connections, in shards, so that connections that open and close seldom wait for the same lock.
///
/// A connection that reads and writes does not touch the registry.
#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<HashSet<Entry>>; SHARDS],
    open: AtomicUsize,
    closed: AtomicBool,
    /// Whether a handler that uses another extractor did not take its permit: perhaps, and surely.
    unclaimed: [AtomicBool; 2],
    /// Notified when the last connection has gone.
    empty: Notify,
    pub(super) lifetimes: Lifetimes,
    pub(super) sweeper: Sweeper,
}

/// One shard in model checks: with several, the shard of an address would differ from run to run.
pub(super) const SHARDS: usize = if cfg!(all(test, ws_loom)) { 1 } else { 16 };

/// How many connections are signalled before other tasks may run.
pub(super) const BETWEEN_YIELDS: u32 = 128;

/// A connection, identified by the address of its signal. The entry is as small as a pointer.
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

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The connections are closed to new handshakes.
    Closed,
    /// The limit is reached.
    Limit,
    /// The limit of this key is reached.
    KeyLimit,
    /// The key tries too often. The next try is possible after this time.
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

    /// Counts a connection, unless there are `limit` connections already.
    pub(super) fn enter(&self, limit: usize, signal: &Arc<Signal>) -> Result<(), Full> {
        let one_more = |open| (open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).map_err(|_| Full::Limit)?;
        let entry = Entry(Arc::clone(signal));
        let mut shard = self.shard(&entry);
        // Checked under the lock: code that walks the shards after `close` then sees every counted connection.
        if self.is_closed() {
            drop(shard);
            self.one_less();
            return Err(Full::Closed);
        }
        shard.insert(entry);
        Ok(())
    }

    /// Removes a connection.
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

    /// Refuses new connections. Connections that still get in have already raised the count when this returns.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // A new connection checks `closed` under the lock of its shard. Either the connection sees `closed`, or it was counted before this
        // code takes the lock. In the second case, `emptied` waits for the connection.
        for shard in &self.shards {
            drop(lock(shard));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this is the first call for a permit that was not taken, surely or perhaps. Each of both cases is logged once.
    pub(super) fn is_first_unclaimed(&self, surely: bool) -> bool {
        !self.unclaimed[usize::from(surely)].swap(true, Ordering::Relaxed)
    }

    /// The signals of all open connections, in arbitrary order.
    pub(super) fn signals(&self) -> Vec<Arc<Signal>> {
        let mut signals = Vec::with_capacity(self.open());
        for shard in &self.shards {
            signals.extend(lock(shard).iter().map(|entry| Arc::clone(&entry.0)));
        }
        signals
    }

    /// The connections of a shard that have to close or end now.
    pub(super) fn turns(&self, shard: usize, now: Tick, idle: Option<u32>) -> Vec<(Arc<Signal>, Turn)> {
        let due = |Entry(signal): &Entry| signal.turn(now, idle).map(|turn| (Arc::clone(signal), turn));
        lock(&self.shards[shard]).iter().filter_map(due).collect()
    }

    /// Waits until there are no connections.
    pub(super) async fn emptied(&self) {
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            // From here on, the future gets every notification, so that none is lost between the check and the wait.
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
        // The lowest bits of an address depend only on its alignment.
        lock(&self.shards[(entry.address() / size_of::<Signal>()) % SHARDS])
    }
}

/// Gives memory back once a map has become much smaller than it was.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if let Some(room) = room_to_keep(map.len(), map.capacity()) {
        map.shrink_to(room);
    }
}

/// The capacity that a map should keep, if it has much more than it needs.
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
