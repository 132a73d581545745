//! What a connection is told from outside: that it is to come to an end, why, and that it has.

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

/// The signal of one connection, shared by its stream, by those that wait for it, and by those that give it.
pub(super) struct Signal {
    pub(super) id: ConnectionId,
    /// The flags below.
    state: AtomicU8,
    /// The first reason to close it, as `CloseReason::to_bits` has it.
    reason: AtomicU16,
    /// How many permits there are of the connection: one for each layer that counts it.
    permits: AtomicU32,
    /// When it has come of age; once it is `LEAVING`, when it is to be ended.
    due: AtomicTick,
    /// When what allowed it expires.
    expires: AtomicTick,
    /// When a sweep last found that the peer had sent something.
    heard: AtomicTick,
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
/// `due` is when it ends.
const LEAVING: u8 = 4;
/// Its stream says when the peer has sent something.
const WATCHED: u8 = 8;
/// The peer has sent nothing since the last sweep.
const QUIET: u8 = 16;

/// What a sweep finds that a connection is due for.
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

    /// There is one permit more.
    pub(super) fn hold(&self) {
        self.permits.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one permit less. With the last of them the connection has gone, and nobody has to wait any more.
    pub(super) fn release(&self) {
        if self.permits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tell_closing();
        }
    }

    /// Whether the last permit has gone.
    pub(super) fn is_gone(&self) -> bool {
        self.permits.load(Ordering::Acquire) == 0
    }

    /// Asks the handler to bring the connection to its end.
    pub(super) fn close(&self, reason: CloseReason) {
        self.give(reason);
        self.tell_closing();
    }

    /// The first reason counts. A connection that has gone by itself has none.
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

    /// Ends the connection: its stream gives no more, and takes no more. Returns whether this has done it.
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

    /// Whether it has one of these flags.
    fn has(&self, flags: u8) -> bool {
        self.state.load(Ordering::Acquire) & flags != 0
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
}

/// # Its lifetime
impl Signal {
    /// Has it asked to close at `due`, for its age. The earliest of several times counts: one for each layer with an age.
    pub(super) fn age_at(&self, due: Tick) {
        let waiting = self.lock();
        let is_earlier = self.due.load().is_none_or(|before| !before.has_come(due));
        if is_earlier && !self.has(LEAVING) {
            self.due.store(due);
        }
        drop(waiting);
    }

    /// Has it asked to close at this time, because what allowed it expires. The last call counts.
    pub(super) fn expire_at(&self, time: Option<Tick>) {
        self.expires.store(time);
    }

    /// Asks the handler to bring the connection to its end, which comes at `end` in any case.
    pub(super) fn leave(&self, reason: CloseReason, end: Tick) {
        // First, so that whoever finds it ended finds a reason.
        self.give(reason);
        let waiting = self.lock();
        if !self.has(LEAVING) {
            self.due.store(end);
            self.state.fetch_or(LEAVING, Ordering::AcqRel);
        }
        drop(waiting);
        self.tell_closing();
    }

    /// From here on its stream says when the peer has sent something.
    pub(super) fn watch(&self) {
        self.state.fetch_or(WATCHED, Ordering::Relaxed);
    }

    /// Nobody sees any more what the peer sends.
    pub(super) fn unwatch(&self) {
        self.state.fetch_and(!WATCHED, Ordering::Relaxed);
    }

    /// Whether it has been ended, or the peer has been quiet until now. A read asks for both at once.
    #[inline]
    pub(super) fn is_ended_or_quiet(&self) -> bool {
        self.has(ENDED | QUIET)
    }

    /// The peer has sent something.
    pub(super) fn hear(&self) {
        self.state.fetch_and(!QUIET, Ordering::Relaxed);
    }

    /// What the connection is due for; `idle` is how many ticks a peer may be silent.
    pub(super) fn turn(&self, now: Tick, idle: Option<u32>) -> Option<Turn> {
        // The state first: whoever sees LEAVING sees the new time.
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

/// Resolves when a connection is asked to come to its end, and when its permit has gone with its stream.
/// [`reason`](Self::reason) then tells why.
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
///     let code = CloseCode::from(closing.close_code());
///     socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
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

    /// Why the connection has been asked to come to its end: the first reason, if there are several. `None` as long as it has not
    /// been asked, and where it has gone without being asked.
    #[must_use]
    pub fn reason(&self) -> Option<CloseReason> {
        self.signal.as_ref()?.reason()
    }

    /// The close code for the handler to send: that of the [`reason`](Self::reason), and 1001 (going away) without one.
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
