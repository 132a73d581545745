//! Wakers of waiting tasks.

use std::task::Waker;

/// Keeps `waker` in `slot`. Returns the previous waker. The caller has to drop this waker after releasing the lock, because dropping a
/// waker can run code of any runtime.
#[must_use = "drop the waker after the lock is released"]
pub(crate) fn replace_waker(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    if slot.as_ref().is_some_and(|stored| stored.will_wake(waker)) { None } else { slot.replace(waker.clone()) }
}

/// Wakes all tasks, even if waking one of them panics.
pub(super) fn wake_all(wakers: impl Iterator<Item = Waker>) {
    let mut rest = WakeRest(wakers);
    for waker in rest.0.by_ref() {
        waker.wake();
    }
}

/// Wakes the remaining tasks after a waker has panicked.
struct WakeRest<I: Iterator<Item = Waker>>(I);

impl<I: Iterator<Item = Waker>> Drop for WakeRest<I> {
    fn drop(&mut self) {
        self.0.by_ref().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("as it was told");
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_waking() {
        let counts = Arc::new(Counts(AtomicUsize::new(0)));
        let counted = || Waker::from(Arc::clone(&counts));
        let wakers = [counted(), Waker::from(Arc::new(Panics)), counted(), counted()];
        assert!(catch_unwind(AssertUnwindSafe(|| wake_all(wakers.into_iter()))).is_err());
        assert_eq!(counts.0.load(Ordering::Relaxed), 3);
    }
}
