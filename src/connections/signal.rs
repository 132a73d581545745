//! What a connection is told from outside: that it is to come to an end, and that it has.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use super::waker::{replace_waker, wake_all};
use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU32, Ordering},
};

/// The signal of one connection, shared by its stream, by those that wait for it, and by those that give it.
#[derive(Default)]
pub(super) struct Signal {
    state: AtomicU8,
    /// How many permits there are of the connection: one for each layer that counts it.
    permits: AtomicU32,
    waiting: Mutex<Waiting>,
}

/// Who is to be woken.
#[derive(Default)]
struct Waiting {
    read: Option<Waker>,
    write: Option<Waker>,
    /// A place for each [`Closing`] that waits.
    closing: Vec<Option<Waker>>,
}

/// One half of a stream.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Read,
    Write,
}

const CLOSING: u8 = 1;
const ENDED: u8 = 2;

impl Signal {
    /// There is one permit more.
    pub(super) fn hold(&self) {
        self.permits.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one permit less. With the last of them the connection has gone, and nobody has to wait any more.
    pub(super) fn release(&self) {
        if self.permits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    /// Asks the handler to bring the connection to its end.
    pub(super) fn close(&self) {
        self.state.fetch_max(CLOSING, Ordering::AcqRel);
        let waiting = mem::take(&mut self.lock().closing);
        wake_all(waiting.into_iter().flatten());
    }

    /// Ends the connection: its stream gives no more, and takes no more.
    pub(super) fn end(&self) {
        self.state.fetch_max(ENDED, Ordering::AcqRel);
        let Waiting { read, write, closing } = mem::take(&mut *self.lock());
        wake_all(read.into_iter().chain(write).chain(closing.into_iter().flatten()));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state.load(Ordering::Acquire) >= CLOSING
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// Whether the connection has been ended; if not, `cx` is woken when it is.
    ///
    /// The lock is the connection's own, and taken only where its half has nothing to do.
    pub(super) fn poll_ended(&self, cx: &Context<'_>, half: Half) -> bool {
        let mut waiting = self.lock();
        let slot = match half {
            Half::Read => &mut waiting.read,
            Half::Write => &mut waiting.write,
        };
        let before = replace_waker(slot, cx.waker());
        drop(waiting);
        drop(before);
        self.is_ended()
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.lock().closing.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when a connection is asked to come to its end, by [`Connections::drain`](crate::Connections::drain), and when
/// its permit has gone with its stream.
///
/// It is given by [`WsStream::closing`](crate::WsStream::closing), and stays of use once a framing library has taken the
/// stream. It is `Unpin`, and once it has resolved it always does, so that a `select!` in a loop can poll it by reference.
/// Without `connections` on the layer it never resolves.
///
#[cfg_attr(feature = "tungstenite", doc = "```")]
#[cfg_attr(not(feature = "tungstenite"), doc = "```ignore")]
/// use futures_util::{SinkExt, TryStreamExt};
/// use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
/// use ws_handshake::WsStream;
///
/// async fn chat(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let mut closing = stream.closing();
///     let mut socket = stream.into_tungstenite(None).await?;
///     loop {
///         tokio::select! {
///             message = socket.try_next() => match message? {
///                 Some(message) if message.is_text() => socket.send(message).await?,
///                 Some(_) => {}
///                 None => return Ok(()),
///             },
///             () = &mut closing => break,
///         }
///     }
///     let away = CloseFrame { code: CloseCode::Away, reason: "the server is about to stop".into() };
///     socket.close(Some(away)).await?;
///     // A socket that is dropped with bytes of the client unread is reset, and the client may never see the close.
///     while socket.try_next().await?.is_some() {}
///     Ok(())
/// }
/// ```
#[must_use = "futures do nothing unless they are polled"]
pub struct Closing {
    signal: Option<Arc<Signal>>,
    /// Its place among those that wait.
    slot: Option<usize>,
}

impl Closing {
    pub(crate) fn never() -> Self {
        Self { signal: None, slot: None }
    }

    pub(super) fn of(signal: &Arc<Signal>) -> Self {
        Self { signal: Some(Arc::clone(signal)), slot: None }
    }

    /// Whether the connection has been asked to come to its end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.signal.as_ref().is_some_and(|signal| signal.is_closing())
    }
}

impl Future for Closing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { signal: Some(signal), slot } = &mut *self else { return Poll::Pending };
        if signal.is_closing() {
            return Poll::Ready(());
        }
        let mut waiting = signal.lock();
        // Whoever signals takes all places away, and then this finds the signal below.
        let free = || waiting.closing.iter().position(Option::is_none).unwrap_or(waiting.closing.len());
        let place = *slot.get_or_insert_with(free);
        if waiting.closing.len() <= place {
            waiting.closing.resize_with(place + 1, || None);
        }
        let before = replace_waker(&mut waiting.closing[place], cx.waker());
        drop(waiting);
        drop(before);
        if signal.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let (Some(signal), Some(place)) = (&self.signal, self.slot) {
            let before = signal.lock().closing.get_mut(place).and_then(Option::take);
            drop(before);
        }
    }
}

impl Clone for Closing {
    fn clone(&self) -> Self {
        Self { signal: self.signal.clone(), slot: None }
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").field("is_closing", &self.is_closing()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(all(test, ws_loom))]
mod models;
