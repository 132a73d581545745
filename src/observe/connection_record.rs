//! The record of a connection, from the start of its stream to its end.

use std::{io, task::Poll, time::Instant};

use super::{
    connection_span::ConnectionSpan,
    metrics::{self, Meter},
};
use crate::connections::{CloseReason, Closing};

/// The record of a connection, written when the record is dropped. Empty if nothing observes connections.
#[derive(Default)]
pub(crate) struct ConnectionRecord(Option<Box<Observed>>);

struct Observed {
    span: Option<ConnectionSpan>,
    /// Says why the connection was asked to close.
    closing: Closing,
    meter: Meter,
    since: Instant,
    read: u64,
    written: u64,
    end: EndReason,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EndReason {
    /// The handler dropped the stream, and none of the other reasons came first.
    Dropped,
    /// The client had finished.
    Eof,
    /// A read or a write failed.
    Failed,
    /// The connection was ended, at the deadline of a drain or after the grace of its lifetime.
    Ended,
    /// The handler took the stream apart, so the layer cannot see the end of the connection.
    Taken,
}

impl EndReason {
    fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Eof => "eof",
            Self::Failed => "error",
            Self::Ended => "ended",
            Self::Taken => "taken",
        }
    }
}

impl ConnectionRecord {
    pub(crate) fn new(span: Option<ConnectionSpan>, closing: Closing) -> Self {
        Self(Some(Box::new(Observed {
            span,
            closing,
            meter: metrics::connection_opened(),
            since: Instant::now(),
            read: 0,
            written: 0,
            end: EndReason::Dropped,
        })))
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.0.is_some()
    }

    /// Records the result of a read, with the number of bytes. The buffer had room.
    pub(crate) fn read(&mut self, read: &Poll<io::Result<()>>, bytes: usize) {
        let Some(observed) = &mut self.0 else { return };
        match read {
            Poll::Ready(Ok(())) if bytes == 0 => observed.end = EndReason::Eof,
            Poll::Ready(Ok(())) => {
                observed.read += bytes as u64;
                metrics::bytes_read(&observed.meter, bytes as u64);
            }
            Poll::Ready(Err(_)) => observed.end = EndReason::Failed,
            Poll::Pending => {}
        }
    }

    /// Records the result of a write.
    pub(crate) fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        let Some(observed) = &mut self.0 else { return };
        match written {
            Poll::Ready(Ok(bytes)) => {
                observed.written += *bytes as u64;
                metrics::bytes_written(&observed.meter, *bytes as u64);
            }
            Poll::Ready(Err(_)) => observed.end = EndReason::Failed,
            Poll::Pending => {}
        }
    }

    pub(crate) fn ends(&mut self, end: EndReason) {
        if let Some(observed) = &mut self.0 {
            observed.end = end;
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let end = self.end.name();
        let reason = self.closing.reason().map_or("none", CloseReason::as_str);
        metrics::connection_ended(&self.meter, self.since.elapsed(), end, reason);
        if let Some(span) = &self.span {
            span.end(self.read, self.written, end, reason);
        }
    }
}
