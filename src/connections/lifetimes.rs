//! How long connections live: the age limit and the idle timeout.

use std::time::Duration;

use super::tick::{MAX_TICKS, Tick, ticks};
use crate::sync::atomic::{AtomicU32, Ordering};

/// How long the connections of a registry live, in ticks.
#[derive(Debug)]
pub(super) struct Lifetimes {
    /// 0 means none.
    max_age: AtomicU32,
    /// 0 means none.
    idle_timeout: AtomicU32,
    grace: AtomicU32,
    /// How many connections have been counted in so far, so that ages differ.
    count: AtomicU32,
}

impl Lifetimes {
    pub(super) fn new() -> Self {
        Self {
            max_age: AtomicU32::new(0),
            idle_timeout: AtomicU32::new(0),
            grace: AtomicU32::new(DEFAULT_GRACE),
            count: AtomicU32::new(0),
        }
    }

    pub(super) fn set_max_age(&self, age: Duration) {
        self.max_age.store(ticks(age).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn set_idle_timeout(&self, timeout: Duration) {
        self.idle_timeout.store(ticks(timeout).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn set_grace(&self, grace: Duration) {
        self.grace.store(ticks(grace).unwrap_or(MAX_TICKS), Ordering::Relaxed);
    }

    /// Whether connections have an age or an idle timeout.
    pub(super) fn are_set(&self) -> bool {
        self.max_age().is_some() || self.idle_timeout().is_some()
    }

    /// When to ask a new connection to close, if there is an age limit.
    pub(super) fn due(&self) -> Option<Tick> {
        let age = self.max_age()?;
        let turn = self.count.fetch_add(1, Ordering::Relaxed);
        Some(Tick::now().after(varied(age, turn)))
    }

    fn max_age(&self) -> Option<u32> {
        Some(self.max_age.load(Ordering::Relaxed)).filter(|age| *age > 0)
    }

    pub(super) fn idle_timeout(&self) -> Option<u32> {
        Some(self.idle_timeout.load(Ordering::Relaxed)).filter(|timeout| *timeout > 0)
    }

    /// When to end a connection that is asked to close `now`.
    pub(super) fn end(&self, now: Tick) -> Tick {
        now.after(self.grace.load(Ordering::Relaxed))
    }

    /// The time between two sweeps.
    pub(super) fn interval(&self) -> Duration {
        let age = self.max_age().map_or(LONGEST_INTERVAL, |age| age / 500);
        let idle = self.idle_timeout().map_or(LONGEST_INTERVAL, |timeout| timeout / 100);
        // The grace may be 0, and each sweep checks every connection.
        let grace = (self.grace.load(Ordering::Relaxed) / 20).max(10);
        Tick::LENGTH * age.min(idle).min(grace).clamp(1, LONGEST_INTERVAL)
    }
}

/// The age at which the connection number `turn` closes: evenly spread within 10 % of `age`, and far from the ages of its neighbours.
fn varied(age: u32, turn: u32) -> u32 {
    // Multiples of the golden ratio are spread most evenly. This constant is the fraction of the golden ratio, times 2^32.
    let part = u64::from(turn.wrapping_mul(0x9E37_79B9));
    let spread = u64::from(age) / 5;
    let later = u32::try_from((part * (spread + 1)) >> 32).unwrap_or(u32::MAX);
    age - age / 10 + later
}

/// Half a second.
const LONGEST_INTERVAL: u32 = 50;
/// Ten seconds.
const DEFAULT_GRACE: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_tenth_around_the_mean_and_neighbours_are_far_apart() {
        let rows =
            [(500, 450, 550), (1, 1, 1), (9, 9, 10), (10, 9, 11), (MAX_TICKS, MAX_TICKS / 10 * 9, MAX_TICKS / 10 * 11)];
        for (age, least, most) in rows {
            let ages: Vec<u32> = (0..1_000).map(|turn| varied(age, turn)).collect();
            assert!(ages.iter().all(|age| (least..=most).contains(age)), "{age}: {ages:?}");
            assert!(age == MAX_TICKS || ages.contains(&least) && ages.contains(&most), "{age}: {ages:?}");
            let apart = ages.windows(2).all(|two| two[0].abs_diff(two[1]) > (most - least) / 4);
            assert!(most - least < 10 || apart, "{age}");
        }
    }

    #[test]
    fn a_sweep_comes_as_often_as_the_shortest_lifetime_needs_it() {
        let seconds = Duration::from_secs;
        let rows = [
            (None, None, seconds(10), 500),
            (Some(seconds(3600)), Some(seconds(90)), seconds(10), 500),
            (Some(seconds(60)), None, seconds(10), 120),
            (None, Some(seconds(20)), seconds(10), 200),
            (None, Some(seconds(20)), seconds(2), 100),
            (None, None, Duration::ZERO, 100),
            (Some(Duration::ZERO), None, seconds(10), 10),
        ];
        for (age, idle, grace, millis) in rows {
            let lifetimes = Lifetimes::new();
            if let Some(age) = age {
                lifetimes.set_max_age(age);
            }
            if let Some(idle) = idle {
                lifetimes.set_idle_timeout(idle);
            }
            lifetimes.set_grace(grace);
            assert_eq!(lifetimes.interval(), Duration::from_millis(millis), "{age:?}, {idle:?}, {grace:?}");
            assert_eq!(lifetimes.are_set(), age.is_some() || idle.is_some());
        }
    }
}
