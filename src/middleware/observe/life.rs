//! What is seen of a connection from its acceptance to its end.

use std::{fmt, io, sync::OnceLock, task::Poll, time::Instant};

use http::Uri;

use super::{
    metered::Meter,
    traced::{ConnectionSpan, Path},
};
use crate::handshake::ServerHandshake;

/// An approved handshake that may become a connection. Boxed, for it is carried about, and empty where nobody looks.
#[derive(Debug)]
pub(in super::super) struct Approved(Option<Box<Seen>>);

#[derive(Debug)]
struct Seen {
    path: Path,
    span: OnceLock<ConnectionSpan>,
}

impl Approved {
    pub(in super::super) fn new(uri: &Uri) -> Self {
        Self(Path::of(uri).map(|path| Box::new(Seen { path, span: OnceLock::new() })))
    }

    /// Its answer is on the way: here begins the span of the connection.
    pub(in super::super) fn answered(&self, server: &ServerHandshake) -> Option<ConnectionSpan> {
        let seen = self.0.as_ref()?;
        Some(seen.span.get_or_init(|| ConnectionSpan::new(server, &seen.path)).clone())
    }

    /// There is a stream.
    pub(in super::super) fn open(&self, server: &ServerHandshake, subprotocol: Option<&str>) -> Life {
        let span = self.answered(server).filter(|span| !span.is_disabled());
        if span.is_none() && Meter::IS_DISABLED {
            return Life(None);
        }
        if let Some(span) = &span {
            span.open(subprotocol);
        }
        let since = Instant::now();
        Life(Some(Box::new(Observed { span, meter: Meter::new(), since, read: 0, written: 0, end: End::Dropped })))
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum End {
    /// The handler let go of the stream, and neither of the others was seen before.
    Dropped,
    /// The client had finished.
    Eof,
    /// Reading or writing failed.
    Failed,
    /// A drain reached its deadline.
    Drained,
    /// The handler took the stream apart: what became of the connection cannot be seen.
    Taken,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Eof => "eof",
            Self::Failed => "error",
            Self::Drained => "drained",
            Self::Taken => "taken",
        }
    }
}

/// A connection that lives for as long as this; empty where nobody looks.
#[derive(Default)]
pub(in super::super) struct Life(Option<Box<Observed>>);

struct Observed {
    span: Option<ConnectionSpan>,
    meter: Meter,
    since: Instant,
    read: u64,
    written: u64,
    end: End,
}

impl Life {
    pub(in super::super) fn is_observed(&self) -> bool {
        self.0.is_some()
    }

    /// What a read came to, with the number of bytes that it gave into a buffer that had room.
    pub(in super::super) fn read(&mut self, read: &Poll<io::Result<()>>, bytes: usize) {
        let Some(observed) = &mut self.0 else { return };
        match read {
            Poll::Ready(Ok(())) if bytes == 0 => observed.end = End::Eof,
            Poll::Ready(Ok(())) => {
                observed.read += bytes as u64;
                observed.meter.read(bytes as u64);
            }
            Poll::Ready(Err(_)) => observed.end = End::Failed,
            Poll::Pending => {}
        }
    }

    /// What a write came to.
    pub(in super::super) fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        let Some(observed) = &mut self.0 else { return };
        match written {
            Poll::Ready(Ok(bytes)) => {
                observed.written += *bytes as u64;
                observed.meter.wrote(*bytes as u64);
            }
            Poll::Ready(Err(_)) => observed.end = End::Failed,
            Poll::Pending => {}
        }
    }

    pub(in super::super) fn ends(&mut self, end: End) {
        if let Some(observed) = &mut self.0 {
            observed.end = end;
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let end = self.end.name();
        self.meter.end(self.since.elapsed(), end);
        if let Some(span) = &self.span {
            span.end(self.read, self.written, end);
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Life").field(&self.0.as_ref().map(|observed| observed.end)).finish()
    }
}
