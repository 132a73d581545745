//! Copies bytes both ways, after both sides have accepted.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep},
};
use ws_handshake::WsStream;

/// Copies until both sides have finished, one has failed, no bytes have come for the time `idle`, or the gateway is about to stop.
pub(super) async fn run(mut client: WsStream, mut upstream: WsStream, idle: Duration) {
    let closing = client.closing();
    let (mut there, mut back) = (Way::default(), Way::default());
    let mut looks = pin!(sleep(idle.min(HALF_CLOSED)));
    let (mut since, mut seen) = (Instant::now(), 0);
    let copying = poll_fn(|cx| {
        let ends = (there.poll(cx, &mut client, &mut upstream), back.poll(cx, &mut upstream, &mut client));
        match ends {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        // Checked at intervals, not at each byte. After one side has finished, no read would notice a reset.
        while looks.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if there.copied + back.copied != seen {
                (since, seen) = (now, there.copied + back.copied);
            }
            let most = if there.done || back.done { idle.min(HALF_CLOSED) } else { idle };
            if now - since >= most {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            looks.as_mut().reset(now + most.saturating_sub(now - since).min(HALF_CLOSED));
        }
        Poll::Pending
    });
    let copied = tokio::select! {
        copied = copying => copied,
        // Both sides see the end. The gateway cannot send a close frame, which might come into the middle of another frame.
        () = closing => return,
    };
    if copied.is_err() {
        // A cut-off connection is not the end of the data, so the other side must see the reset too.
        [client, upstream].into_iter().for_each(reset);
    }
}

/// Closes a TCP connection with a reset.
fn reset(stream: WsStream) {
    if let Ok(parts) = stream.downcast::<TokioIo<TcpStream>>() {
        let _ = parts.io.inner().set_zero_linger();
    }
}

/// One direction.
///
/// While idle, a direction holds 4 KiB. If bytes come faster, so that each read fills the buffer, the buffer grows.
#[derive(Default)]
struct Way {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    unflushed: bool,
    copied: u64,
    finished: bool,
    done: bool,
}

/// How long a tunnel may be idle after one side has finished.
const HALF_CLOSED: Duration = Duration::from_secs(60);

const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 64 << 10;

impl Way {
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut WsStream, to: &mut WsStream) -> Poll<io::Result<()>> {
        while !self.done {
            if self.start == self.end && !self.finished && self.poll_fill(cx, from)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            while self.start < self.end {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer[self.start..self.end]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.start += written;
                self.copied += written as u64;
                self.unflushed = true;
            }
            if self.finished {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.done = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &mut WsStream) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; SMALLEST];
        } else if self.end == self.buffer.len() && self.end < LARGEST {
            self.buffer = vec![0; self.end * 4];
        }
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let read = Pin::new(from).poll_read(cx, &mut buffer)?;
        let filled = buffer.filled().len();
        if read.is_pending() {
            if self.buffer.len() > SMALLEST {
                // This direction is idle now, for an unknown time.
                self.buffer = vec![0; SMALLEST];
            }
            (self.start, self.end) = (0, 0);
            return Poll::Pending;
        }
        (self.start, self.end, self.finished) = (0, filled, filled == 0);
        Poll::Ready(Ok(()))
    }
}
