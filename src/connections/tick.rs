//! Times and durations that take four bytes.

use std::{sync::OnceLock, time::Duration};

use tokio::time::Instant;

use crate::sync::atomic::{AtomicU32, Ordering};

/// A time in hundredths of a second. The number wraps around after 497 days. Of two times, the later one is less than half of that ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick(u32);

impl Tick {
    pub(super) const LENGTH: Duration = Duration::from_millis(10);

    pub(super) fn now() -> Self {
        Self::of(Instant::now())
    }

    pub(super) fn of(time: Instant) -> Self {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        let epoch = *EPOCH.get_or_init(Instant::now);
        // If tokio's clock is paused, a time may be before the epoch.
        let after = time.saturating_duration_since(epoch).as_millis();
        let before = epoch.saturating_duration_since(time).as_millis();
        let length = Self::LENGTH.as_millis();
        Self::new(wrapped(after / length).wrapping_sub(wrapped(before.div_ceil(length))))
    }

    /// 0 means no time.
    fn new(ticks: u32) -> Self {
        Self(ticks.max(1))
    }

    pub(super) fn after(self, ticks: u32) -> Self {
        Self::new(self.0.wrapping_add(ticks))
    }

    /// Whether this time is `now` or earlier.
    pub(super) fn has_come(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0) < u32::MAX / 2
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it wraps around")]
fn wrapped(ticks: u128) -> u32 {
    ticks as u32
}

/// Converts a duration to ticks, rounded up, plus one tick because the start time was rounded down. Returns `None` for more than 100 days:
/// ticks cannot represent much more.
pub(super) fn ticks(duration: Duration) -> Option<u32> {
    let ticks = duration.as_micros().div_ceil(Tick::LENGTH.as_micros());
    u32::try_from(ticks).ok().filter(|ticks| *ticks <= MAX_TICKS).map(|ticks| ticks + 1)
}

/// 100 days.
pub(super) const MAX_TICKS: u32 = 100 * 24 * 3600 * 100;

/// An optional [`Tick`] that several threads can read and write.
#[derive(Debug, Default)]
pub(super) struct AtomicTick(AtomicU32);

impl AtomicTick {
    pub(super) fn load(&self) -> Option<Tick> {
        let ticks = self.0.load(Ordering::Acquire);
        (ticks != 0).then_some(Tick(ticks))
    }

    pub(super) fn store(&self, tick: impl Into<Option<Tick>>) {
        self.0.store(tick.into().map_or(0, |Tick(ticks)| ticks), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_times_the_later_one_is_less_than_half_a_round_ahead() {
        let rows = [
            (Tick(7), Tick(7), true),
            (Tick(7), Tick(8), true),
            (Tick(8), Tick(7), false),
            (Tick(u32::MAX), Tick::new(u32::MAX).after(1), true),
            (Tick::new(u32::MAX).after(1), Tick(u32::MAX), false),
            (Tick(1), Tick(1).after(u32::MAX / 2 - 1), true),
            (Tick(1), Tick(1).after(u32::MAX / 2), false),
        ];
        for (time, now, has_come) in rows {
            assert_eq!(time.has_come(now), has_come, "{time:?} at {now:?}");
        }
    }

    #[test]
    fn durations_are_rounded_up_and_some_are_too_long() {
        let days = Duration::from_secs(100 * 24 * 3600);
        let rows = [
            (Duration::ZERO, Some(1)),
            (Duration::from_micros(1), Some(2)),
            (Duration::from_millis(10), Some(2)),
            (Duration::from_millis(11), Some(3)),
            (Duration::from_secs(5), Some(501)),
            (days, Some(864_000_001)),
            (days + Duration::from_micros(1), None),
            (Duration::MAX, None),
        ];
        for (duration, expected) in rows {
            assert_eq!(ticks(duration), expected, "{duration:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_goes_on_by_ticks() {
        let start = Tick::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(Tick::now(), start.after(500));
        let before = Instant::now() - Duration::from_secs(5);
        assert!(Tick::of(before).has_come(start) && start.has_come(Tick::now()));
    }
}
