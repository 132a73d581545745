//! Metrics, with the `metrics` facade. Without the feature `metrics`, all functions in this module do nothing.
//!
//! Peers cannot choose labels: each label has a few known values.

use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Tells the recorder the meaning and the unit of each metric of this crate. Call this once, after you install the recorder.
///
/// | Name | Kind | Unit | Labels |
/// |---|---|---|---|
/// | `websocket.server.handshakes` | counter | decided handshakes | `outcome` (`approved`, `refused`), `error.type` if refused (the [`RejectionKind`](crate::RejectionKind)), `network.protocol.version` (`1.1`, `2`; also `1.0` and `3` if refused) |
/// | `websocket.server.active_connections` | gauge | connections | |
/// | `websocket.server.connection.duration` | histogram | seconds | `end` and `close_reason` (the same as in the span) |
/// | `websocket.server.io` | counter | bytes of the stream, including framing | `network.io.direction` (`receive`, `transmit`) |
///
/// - `approved` means that the layer let the handshake through. The layer does not count whether the handler then accepts or answers 401.
///   `active_connections` counts from the start of the stream.
/// - `end` has these values:
///   - `dropped`: the handler dropped the stream, as it does after a clean closing handshake, whichever side began that
///   - `eof`: the client was gone first
///   - `error`: reading or writing failed
///   - `ended`: the connection was ended at the deadline of a drain, or after the grace of its lifetime
///   - `taken`: the handler took the stream apart
/// - `close_reason` says why the connection was asked to close: a name from [`CloseReason::as_str`](crate::CloseReason::as_str), or
///   `none`.
///
/// An exporter for Prometheus writes the dots as underscores. In `metrics-exporter-prometheus`, only `with_recommended_naming(true)` adds
/// `_total`, `_seconds` and `_bytes`, and the duration is a summary unless you set its buckets. The example `observed` does both.
///
/// Each nested layer counts its own decisions. A connection is counted once.
///
/// The labels with a dot are attributes of OpenTelemetry's semantic conventions, which have no metrics for WebSocket connections.
///
/// ```
/// // First install a recorder, for example with `metrics_exporter_prometheus::PrometheusBuilder`:
/// ws_handshake::describe_metrics();
/// ```
#[cfg(feature = "metrics")]
pub fn describe_metrics() {
    describe_counter!(HANDSHAKES, Unit::Count, "WebSocket handshakes decided");
    describe_gauge!(ACTIVE, Unit::Count, "WebSocket connections that are open");
    describe_histogram!(DURATION, Unit::Seconds, "How long WebSocket connections lasted");
    describe_counter!(IO, Unit::Bytes, "Bytes read from and written to WebSocket connections");
}

/// Whether metrics are built in.
pub(crate) const ENABLED: bool = cfg!(feature = "metrics");

/// Defines functions. Without the feature `metrics`, each function is empty, with the same signature, and returns `Default`.
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

// Literal labels need no allocation.
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

/// The metric handles of one connection.
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
