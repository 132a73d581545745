//! What is measured, with the `metrics` facade. Without the feature `metrics`, every function here does nothing.
//!
//! No label is a peer's to choose: each has a handful of values, known here.

use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Tells the recorder what each metric of this crate is and in what unit: once, after it is installed.
///
/// | Name | Kind | Unit | Labels |
/// |---|---|---|---|
/// | `websocket.server.handshakes` | counter | handshakes decided | `outcome` (`approved`, `refused`), `error.type` of those refused (the [`RejectionKind`](crate::RejectionKind)), `network.protocol.version` (`1.1`, `2`; `1.0` and `3` of those refused) |
/// | `websocket.server.active_connections` | gauge | connections | |
/// | `websocket.server.connection.duration` | histogram | seconds | `end` and `close_reason` (as the span has them) |
/// | `websocket.server.io` | counter | bytes of the stream, frames and all | `network.io.direction` (`receive`, `transmit`) |
///
/// - *Approved* is what the layer lets through: whether its handler then accepts it, or answers 401, is the handler's to
///   count, and `active_connections` begins with the stream.
/// - An `end` is `dropped` where the handler lets go of the stream, as it does after a clean closing handshake, whoever
///   began that; `eof` where the client was gone first; `error` where reading or writing failed; `ended` where it was
///   ended at the deadline of a drain, or after the grace of its lifetime; `taken` where the handler took the stream apart.
/// - A `close_reason` is why the connection was asked to close, as [`CloseReason::as_str`](crate::CloseReason::as_str) has it, or
///   `none`.
///
/// An exporter for Prometheus writes the dots as underscores, and, of `metrics-exporter-prometheus`, only
/// `with_recommended_naming(true)` adds `_total`, `_seconds` and `_bytes`; the duration is a summary unless buckets are
/// set for it. The example `observed` does so.
///
/// Where layers stand one inside the other, each counts what it decides; a connection is counted once.
///
/// The labels with a dot are attributes of the semantic conventions of OpenTelemetry, which have no metrics for
/// WebSocket connections.
///
/// ```
/// // Once a recorder has been installed, for example by `metrics_exporter_prometheus::PrometheusBuilder`:
/// ws_handshake::describe_metrics();
/// ```
#[cfg(feature = "metrics")]
pub fn describe_metrics() {
    describe_counter!(HANDSHAKES, Unit::Count, "WebSocket handshakes decided");
    describe_gauge!(ACTIVE, Unit::Count, "WebSocket connections that are open");
    describe_histogram!(DURATION, Unit::Seconds, "How long WebSocket connections lasted");
    describe_counter!(IO, Unit::Bytes, "Bytes read from and written to WebSocket connections");
}

/// Whether anything is measured.
pub(crate) const ENABLED: bool = cfg!(feature = "metrics");

/// Defines functions, and for builds without the feature `metrics` their empty form: same signature, and a result that is
/// `Default`.
macro_rules! measured {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $output:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[cfg(feature = "metrics")]
        pub(crate) fn $name($($arg: $type),*) $(-> $output)? $body

        $(#[$doc])*
        #[cfg(not(feature = "metrics"))]
        pub(crate) fn $name($(_: $type),*) $(-> $output)? {
            Default::default()
        }
    )*};
}

// Labels that are literals cost no allocation.
measured! {
    fn handshake_approved(version: &'static str) {
        let approved = match version {
            "1.1" => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => "1.1"),
            "2" => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => "2"),
            other => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => other),
        };
        approved.increment(1);
    }

    fn handshake_refused(kind: &'static str, version: &'static str) {
        counter!(HANDSHAKES, "outcome" => "refused", "error.type" => kind, "network.protocol.version" => version)
            .increment(1);
    }

    fn connection_opened() -> Meter {
        let active = gauge!(ACTIVE);
        active.increment(1);
        let read = counter!(IO, "network.io.direction" => "receive");
        let written = counter!(IO, "network.io.direction" => "transmit");
        Meter { active, read, written }
    }

    fn bytes_read(meter: &Meter, bytes: u64) {
        meter.read.increment(bytes);
    }

    fn bytes_written(meter: &Meter, bytes: u64) {
        meter.written.increment(bytes);
    }

    fn connection_ended(meter: &Meter, lasted: Duration, end: &'static str, close_reason: &'static str) {
        meter.active.decrement(1);
        histogram!(DURATION, "end" => end, "close_reason" => close_reason).record(lasted);
    }
}

/// The handles by which one connection is measured.
#[cfg_attr(not(feature = "metrics"), derive(Default))]
pub(crate) struct Meter {
    #[cfg(feature = "metrics")]
    active: Gauge,
    #[cfg(feature = "metrics")]
    read: Counter,
    #[cfg(feature = "metrics")]
    written: Counter,
}

#[cfg(feature = "metrics")]
const HANDSHAKES: &str = "websocket.server.handshakes";
#[cfg(feature = "metrics")]
const ACTIVE: &str = "websocket.server.active_connections";
#[cfg(feature = "metrics")]
const DURATION: &str = "websocket.server.connection.duration";
#[cfg(feature = "metrics")]
const IO: &str = "websocket.server.io";
