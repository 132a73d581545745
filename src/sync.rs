//! Locks, atomics and `Notify`: normally those of the standard library and of tokio, and loom's in model checks.
//!
//! `ci/models.sh` checks the models. The cfg has its own name, `ws_loom`, because `cfg(loom)` changes tokio too. `Arc` is always the
//! standard library's.

use std::sync::PoisonError;
#[cfg(not(all(test, ws_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(all(test, ws_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, ws_loom)))]
pub(crate) use tokio::sync::Notify;

#[cfg(all(test, ws_loom))]
pub(crate) use self::notify::Notify;

/// Takes a lock, even if a thread panicked while it held the lock: no code in this crate leaves data half changed under a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of tokio's `Notify` that this crate uses.
#[cfg(all(test, ws_loom))]
mod notify {
    use std::{
        mem,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::Mutex;

    #[derive(Debug)]
    pub(crate) struct Notify(Mutex<(usize, Vec<Waker>)>);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self(Mutex::new((0, Vec::new())))
        }

        pub(crate) fn notified(&self) -> Notified<'_> {
            Notified { notify: self, round: self.0.lock().unwrap().0 }
        }

        pub(crate) fn notify_waiters(&self) {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            let wakers = mem::take(&mut state.1);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Gets every notification from its creation on.
    pub(crate) struct Notified<'a> {
        notify: &'a Notify,
        round: usize,
    }

    impl Notified<'_> {
        #[expect(clippy::unused_self, reason = "as tokio's")]
        pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
            false
        }
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let mut state = self.notify.0.lock().unwrap();
            if state.0 != self.round {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        }
    }
}
