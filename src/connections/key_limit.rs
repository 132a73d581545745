//! How many connections each peer may have.

use std::{collections::HashMap, fmt, sync::Arc};

use http::request::Parts;

use super::{
    key::ConnectionKey,
    registry::{Full, shrink},
};
use crate::sync::{Mutex, MutexGuard, lock};

/// A limit on the connections of each key, with the count of each key that has connections.
pub(super) struct KeyLimit {
    limit: usize,
    key: KeyOf,
    counts: Mutex<HashMap<Option<ConnectionKey>, usize>>,
}

/// The key of a request.
pub(super) type KeyOf = Box<dyn Fn(&Parts) -> Option<ConnectionKey> + Send + Sync>;

impl KeyLimit {
    pub(super) fn new(limit: usize, key: KeyOf) -> Arc<Self> {
        Arc::new(Self { limit, key, counts: Mutex::default() })
    }

    /// Returns the request's key, unless that key has reached the limit.
    pub(super) fn ask(&self, parts: &Parts) -> Result<Option<ConnectionKey>, Full> {
        let key = (self.key)(parts);
        if self.count(key.as_ref()) >= self.limit { Err(Full::KeyLimit) } else { Ok(key) }
    }

    /// Takes one of the connections that the key may still have.
    pub(super) fn take(self: &Arc<Self>, key: Option<ConnectionKey>) -> Result<KeyPermit, Full> {
        let mut counts = self.lock();
        let count = counts.get(&key).copied().unwrap_or_default();
        if count >= self.limit {
            return Err(Full::KeyLimit);
        }
        counts.insert(key.clone(), count + 1);
        drop(counts);
        Ok(KeyPermit { limit: Arc::clone(self), key })
    }

    pub(super) fn count(&self, key: Option<&ConnectionKey>) -> usize {
        self.lock().get(&key.cloned()).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<ConnectionKey>, usize>> {
        lock(&self.counts)
    }
}

impl fmt::Debug for KeyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLimit").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// One of the connections of a key, given back when dropped.
#[derive(Debug)]
pub(super) struct KeyPermit {
    limit: Arc<KeyLimit>,
    key: Option<ConnectionKey>,
}

impl KeyPermit {
    /// The limit that counts this permit.
    pub(super) fn limit(&self) -> Arc<KeyLimit> {
        Arc::clone(&self.limit)
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        let mut counts = self.limit.lock();
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&self.key);
                shrink(&mut counts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_nobody_holds_take_no_memory() {
        let limit = KeyLimit::new(1, Box::new(|parts| Some(ConnectionKey::from(parts.uri.path()))));
        let ask = |path: String| {
            let (parts, ()) = http::Request::get(path).body(()).unwrap().into_parts();
            limit.ask(&parts)
        };
        let permits: Vec<_> = (0..10_000).map(|n| limit.take(ask(format!("/{n}")).unwrap()).unwrap()).collect();
        assert_eq!(ask("/7".into()).unwrap_err(), Full::KeyLimit);
        assert_eq!(limit.take(Some("/7".into())).unwrap_err(), Full::KeyLimit);
        assert_eq!(limit.count(Some(&"/7".into())), 1);
        drop(permits);
        assert!(limit.lock().is_empty());
        assert!(limit.lock().capacity() <= 128, "{}", limit.lock().capacity());
    }
}
