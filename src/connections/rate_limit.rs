//! How many handshakes each peer may try.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
    time::Duration,
};

use http::request::Parts;
use tokio::time::Instant;

use super::key_limit::KeyOf;
use crate::sync::{Mutex, MutexGuard, lock};

/// A limit on the handshakes that each key tries, with the generic cell rate algorithm. Each try costs a share of the window, and a key
/// may owe at most a whole window.
pub(super) struct RateLimit {
    /// The cost of a try, in nanoseconds.
    share: u64,
    /// In nanoseconds.
    window: u64,
    key: KeyOf,
    epoch: Instant,
    /// Keys are stored as a hash that peers cannot predict, because a name may be long.
    hasher: RandomState,
    debts: Mutex<Debts>,
}

/// The time at which each key has paid its debt.
///
/// A debt lasts for a window at most. So a key that was not touched in this window or the one before has no debt.
#[derive(Default)]
struct Debts {
    since: u64,
    current: HashMap<u64, u64>,
    before: HashMap<u64, u64>,
}

impl RateLimit {
    pub(super) fn new(tries: u32, window: Duration, key: KeyOf) -> Arc<Self> {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX / 4).clamp(1, u64::MAX / 4);
        // With 0 tries, one try has to cost more than a key may owe.
        let share = window.checked_div(tries.into()).map_or(2 * window, |share| share.max(1));
        let debts = Mutex::new(Debts::default());
        Arc::new(Self { share, window, key, epoch: Instant::now(), hasher: RandomState::new(), debts })
    }

    /// Counts a try of the request's key. If the key has no try left, returns the time until the next one.
    pub(super) fn count(&self, parts: &Parts) -> Result<(), Duration> {
        let key = self.hasher.hash_one((self.key)(parts));
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let mut debts = self.lock();
        let outdated = debts.turn(now, self.window);
        let debt = debts.of(key).max(now) + self.share;
        let wait = debt.saturating_sub(now + self.window);
        if wait == 0 {
            debts.set(key, debt);
        }
        drop(debts);
        drop(outdated);
        if wait == 0 { Ok(()) } else { Err(Duration::from_nanos(wait)) }
    }

    fn lock(&self) -> MutexGuard<'_, Debts> {
        lock(&self.debts)
    }
}

impl Debts {
    /// Forgets keys that have no debt. Returns maps for the caller to drop after the lock is released.
    fn turn(&mut self, now: u64, window: u64) -> [HashMap<u64, u64>; 2] {
        let mut outdated = <[HashMap<u64, u64>; 2]>::default();
        if now >= self.since + window {
            outdated[0] = mem::replace(&mut self.before, mem::take(&mut self.current));
            if now >= self.since + 2 * window {
                outdated[1] = mem::take(&mut self.before);
            }
            self.since = now;
        }
        outdated
    }

    fn of(&self, key: u64) -> u64 {
        self.current.get(&key).or_else(|| self.before.get(&key)).copied().unwrap_or_default()
    }

    fn set(&mut self, key: u64, debt: u64) {
        let is_known = self.current.contains_key(&key) || self.before.remove(&key).is_some();
        // At the maximum, new keys are not counted, so that no known debt is lost.
        if is_known || self.current.len() + self.before.len() < MAX_KEYS {
            self.current.insert(key, debt);
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("window", &Duration::from_nanos(self.window)).finish_non_exhaustive()
    }
}

/// The maximum number of counted keys: less than 12 MiB, even while a map grows.
const MAX_KEYS: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn by_path(tries: u32, window: Duration) -> Arc<RateLimit> {
        RateLimit::new(tries, window, Box::new(|parts| Some(parts.uri.path().into())))
    }

    fn parts(path: &str) -> Parts {
        http::Request::get(path).body(()).unwrap().into_parts().0
    }

    fn known(limit: &RateLimit) -> usize {
        let debts = limit.lock();
        debts.current.len() + debts.before.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_its_tries_and_then_one_for_each_share_of_the_window() {
        let limit = by_path(4, Duration::from_secs(60));
        for _ in 0..4 {
            limit.count(&parts("/a")).unwrap();
        }
        limit.count(&parts("/b")).unwrap();
        assert_eq!(limit.count(&parts("/a")), Err(Duration::from_secs(15)));
        advance(Duration::from_secs(5)).await;
        assert_eq!(limit.count(&parts("/a")), Err(Duration::from_secs(10)), "what is refused costs nothing");
        advance(Duration::from_secs(10)).await;
        limit.count(&parts("/a")).unwrap();
        assert_eq!(limit.count(&parts("/a")), Err(Duration::from_secs(15)));
        advance(Duration::from_secs(59)).await;
        for _ in 0..3 {
            limit.count(&parts("/a")).unwrap();
        }
        assert_eq!(limit.count(&parts("/a")), Err(Duration::from_secs(1)), "a debt outlives the window that it is of");
        advance(Duration::from_secs(600)).await;
        for _ in 0..4 {
            limit.count(&parts("/a")).unwrap();
        }
        limit.count(&parts("/a")).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_touched_for_two_windows_is_forgotten() {
        for (seconds, left) in [(60, 101), (90, 101), (120, 1), (200, 1)] {
            let limit = by_path(2, Duration::from_secs(60));
            for n in 0..100 {
                limit.count(&parts(&format!("/{n}"))).unwrap();
            }
            advance(Duration::from_secs(seconds)).await;
            limit.count(&parts("/later")).unwrap();
            assert_eq!(known(&limit), left, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_may_be_extreme() {
        let none = by_path(0, Duration::from_secs(60));
        assert_eq!(none.count(&parts("/")), Err(Duration::from_secs(60)));
        let rows =
            [(1, Duration::MAX), (u32::MAX, Duration::ZERO), (u32::MAX, Duration::from_secs(1)), (1, Duration::ZERO)];
        for (tries, window) in rows {
            by_path(tries, window).count(&parts("/")).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn invented_keys_take_bounded_memory_and_nobody_is_forgotten_for_them() {
        let limit = by_path(2, Duration::from_secs(60));
        let owe = || {
            let _ = limit.count(&parts("/debtor"));
            limit.count(&parts("/debtor")).unwrap_err()
        };
        limit.count(&parts("/debtor")).unwrap();
        owe();
        for flood in 0..4 {
            for n in 0..300_000 {
                limit.count(&parts(&format!("/{flood}/{n}"))).unwrap();
            }
            assert!(known(&limit) <= MAX_KEYS);
            owe();
            advance(Duration::from_secs(25)).await;
            assert!(owe() <= Duration::from_secs(30));
        }
        advance(Duration::from_secs(120)).await;
        limit.count(&parts("/debtor")).unwrap();
        assert_eq!(known(&limit), 1, "all others are out of debt");
    }
}
