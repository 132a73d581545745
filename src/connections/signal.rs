//! The signal of a connection: whether the connection has to close, why, and whether it was ended.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    close_reason::CloseReason,
    id::ConnectionId,
    tick::{AtomicTick, Tick},
    waker::{replace_waker, wake_all},
};
use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering},
    lock,
};

/// The signal of one connection, shared by its stream, by the code that waits for the signal, and by the code that gives the signal.
pub(super) struct Signal {
    pub(super) id: ConnectionId,
    /// The flags below.
    state: AtomicU8,
    /// The first reason to close, from `CloseReason::to_bits`.
    reason: AtomicU16,
    /// The number of permits of the connection: one for each layer that counts the connection.
    permits: AtomicU32,
    /// When the connection reaches its age limit. After `LEAVING` is set: when to end the connection.
    due: AtomicTick,
    /// When the connection's permission expires.
    expires: AtomicTick,
    /// When a sweep last found that the peer had sent something.
    heard: AtomicTick,
    waiting: Mutex<Waiting>,
}

/// The tasks to wake.
#[derive(Default)]
struct Waiting {
    read: Option<Waker>,
    write: Option<Waker>,
    /// A slot for each [`Closing`] that waits.
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
/// The connection was asked to close, and `due` is the time to end it.
const LEAVING: u8 = 4;
/// The connection's stream reports when the peer has sent something.
const WATCHED: u8 = 8;
/// The peer has sent nothing since the last sweep.
const QUIET: u8 = 16;

/// What a sweep has to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Close(CloseReason),
    End,
}

impl Signal {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self {
            id,
            state: AtomicU8::new(0),
            reason: AtomicU16::new(0),
            permits: AtomicU32::new(0),
            due: AtomicTick::default(),
            expires: AtomicTick::default(),
            heard: AtomicTick::default(),
            waiting: Mutex::default(),
        }
    }

    /// Counts one permit more.
    pub(super) fn hold(&self) {
        self.permits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one permit less. With the last permit the connection has gone, and waiting tasks are woken.
    pub(super) fn release(&self) {
        if self.permits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tell_closing();
        }
    }

    /// Whether the last permit has gone.
    pub(super) fn is_gone(&self) -> bool {
        self.permits.load(Ordering::Acquire) == 0
    }

    /// Asks the handler to close the connection.
    pub(super) fn close(&self, reason: CloseReason) {
        self.give(reason);
        self.tell_closing();
    }

    /// Sets the reason. Only the first reason counts. A connection that closed by itself has no reason.
    pub(super) fn give(&self, reason: CloseReason) {
        if self.is_closing() {
            return;
        }
        let _ = self.reason.compare_exchange(0, reason.to_bits(), Ordering::AcqRel, Ordering::Acquire);
    }

    fn tell_closing(&self) {
        self.state.fetch_or(CLOSING, Ordering::AcqRel);
        let waiting = mem::take(&mut self.lock().closing);
        wake_all(waiting.into_iter().flatten());
    }

    /// Ends the connection: reads and writes on its stream stop. Returns whether this call ended the connection.
    pub(super) fn end(&self) -> bool {
        let before = self.state.fetch_or(CLOSING | ENDED, Ordering::AcqRel);
        let Waiting { read, write, closing } = mem::take(&mut *self.lock());
        wake_all(read.into_iter().chain(write).chain(closing.into_iter().flatten()));
        before & ENDED == 0
    }

    pub(super) fn is_closing(&self) -> bool {
        self.has(CLOSING)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.has(ENDED)
    }

    pub(super) fn reason(&self) -> Option<CloseReason> {
        CloseReason::from_bits(self.reason.load(Ordering::Acquire))
    }

    /// Whether one of these flags is set.
    fn has(&self, flags: u8) -> bool {
        self.state.load(Ordering::Acquire) & flags != 0
    }

    /// Whether the connection was ended. If not, `cx` is woken when it is.
    ///
    /// Each connection has its own lock. Reads and writes take the lock only if they have nothing to do.
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
}

/// # Lifetime
impl Signal {
    /// Asks the connection to close at `due`, because of its age. If several layers set an age, the earliest time counts.
    pub(super) fn age_at(&self, due: Tick) {
        let waiting = self.lock();
        let is_earlier = self.due.load().is_none_or(|before| !before.has_come(due));
        if is_earlier && !self.has(LEAVING) {
            self.due.store(due);
        }
        drop(waiting);
    }

    /// Asks the connection to close at this time, because its permission expires. The last call counts.
    pub(super) fn expire_at(&self, time: Option<Tick>) {
        self.expires.store(time);
    }

    /// Asks the handler to close the connection, which is ended at `end` at the latest.
    pub(super) fn leave(&self, reason: CloseReason, end: Tick) {
        // First, so that code that finds the connection ended also finds a reason.
        self.give(reason);
        let waiting = self.lock();
        if !self.has(LEAVING) {
            self.due.store(end);
            self.state.fetch_or(LEAVING, Ordering::AcqRel);
        }
        drop(waiting);
        self.tell_closing();
    }

    /// Called when the stream begins to report what the peer sends.
    pub(super) fn watch(&self) {
        self.state.fetch_or(WATCHED, Ordering::Relaxed);
    }

    /// Called when the stream no longer reports what the peer sends.
    pub(super) fn unwatch(&self) {
        self.state.fetch_and(!WATCHED, Ordering::Relaxed);
    }

    /// Whether the connection was ended, or the peer has sent nothing since the last sweep. A read needs both answers in one check.
    #[inline]
    pub(super) fn is_ended_or_quiet(&self) -> bool {
        self.has(ENDED | QUIET)
    }

    /// Called when the peer has sent something.
    pub(super) fn hear(&self) {
        self.state.fetch_and(!QUIET, Ordering::Relaxed);
    }

    /// Returns what has to happen to the connection now. `idle` is the idle timeout in ticks.
    pub(super) fn turn(&self, now: Tick, idle: Option<u32>) -> Option<Turn> {
        // Load the state first: a thread that sees LEAVING then also sees the new `due`.
        let state = self.state.load(Ordering::Acquire);
        if state & ENDED != 0 {
            return None;
        }
        let due = self.due.load().filter(|due| due.has_come(now));
        if state & LEAVING != 0 {
            return due.map(|_| Turn::End);
        }
        let expired = self.expires.load().filter(|expires| expires.has_come(now));
        match (due, expired) {
            (Some(due), Some(expired)) if expired.has_come(due) => return Some(Turn::Close(CloseReason::Expired)),
            (Some(_), _) => return Some(Turn::Close(CloseReason::MaxAge)),
            (None, Some(_)) => return Some(Turn::Close(CloseReason::Expired)),
            (None, None) => {}
        }
        let idle = idle.filter(|_| state & WATCHED != 0)?;
        if state & QUIET == 0 {
            self.heard.store(now);
            self.state.fetch_or(QUIET, Ordering::AcqRel);
            return None;
        }
        let silent = self.heard.load().is_some_and(|heard| heard.after(idle).has_come(now));
        silent.then_some(Turn::Close(CloseReason::IdleTimeout))
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.lock().closing.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

/// Resolves when the connection is asked to close, or when its stream and permit are dropped. [`reason`](Self::reason) then says why.
///
/// To get this future, call [`WsStream::closing`](crate::WsStream::closing). You can use it after a framing library has taken the stream.
/// The future is `Unpin`. After it has resolved, each further poll is ready too, so a `select!` in a loop can poll it by reference. If the
/// layer has no `connections`, the future never resolves.
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
///     let code = CloseCode::from(closing.close_code());
///     socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
///     // Read until the client closes: a socket dropped with unread bytes is reset, and the client may not see the close.
///     while socket.try_next().await?.is_some() {}
///     Ok(())
/// }
/// ```
#[must_use = "futures do nothing unless they are polled"]
pub struct Closing {
    signal: Option<Arc<Signal>>,
    /// The index among the waiting slots.
    slot: Option<usize>,
}

impl Closing {
    pub(crate) fn never() -> Self {
        Self { signal: None, slot: None }
    }

    pub(super) fn of(signal: &Arc<Signal>) -> Self {
        Self { signal: Some(Arc::clone(signal)), slot: None }
    }

    /// Whether the connection has been asked to close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.signal.as_ref().is_some_and(|signal| signal.is_closing())
    }

    /// Returns why the connection has been asked to close: the first reason, if there are several. Returns `None` until the connection is
    /// asked, and if it closed without being asked.
    #[must_use]
    pub fn reason(&self) -> Option<CloseReason> {
        self.signal.as_ref()?.reason()
    }

    /// The close code for the handler to send: the code of the [`reason`](Self::reason), or 1001 (going away) if there is no reason.
    #[must_use]
    pub fn close_code(&self) -> u16 {
        self.reason().unwrap_or(CloseReason::Drain).close_code()
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
        // The code that signals takes all slots away. This poll then sees the signal in the check below.
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
        f.debug_struct("Closing")
            .field("is_closing", &self.is_closing())
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new(ConnectionId::next())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(all(test, ws_loom))]
mod models;
