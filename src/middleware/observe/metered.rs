//! What is measured, by the `metrics` facade.
//!
//! No label is a peer's to choose: each has a handful of values, known here.

use std::time::Duration;

use metrics::{Counter, Gauge, Unit, counter, gauge, histogram};

use crate::handshake::RejectionKind;

/// Tells the recorder what each metric of this crate is and in what unit: once, after it is installed.
///
/// | Name | Kind | Unit | Labels |
/// |---|---|---|---|
/// | `websocket.server.handshakes` | counter | handshakes decided | `outcome` (`approved`, `refused`), `error.type` of those refused (the [`RejectionKind`]), `network.protocol.version` (`1.1`, `2`; `1.0` and `3` of those refused) |
/// | `websocket.server.active_connections` | gauge | connections | |
/// | `websocket.server.connection.duration` | histogram | seconds | `end` (as the span has it) |
/// | `websocket.server.io` | counter | bytes of the stream, frames and all | `network.io.direction` (`receive`, `transmit`) |
///
/// - *Approved* is what the layer lets through: whether its handler then accepts it, or answers 401, is the handler's to
///   count, and `active_connections` begins with the stream.
/// - An `end` is `dropped` where the handler lets go of the stream, as it does after a clean closing handshake, whoever
///   began that; `eof` where the client was gone first; `error` where reading or writing failed; `drained` where a drain
///   ended it at its deadline; `taken` where the handler took the stream apart.
///
/// An exporter for Prometheus writes the dots as underscores, and, of `metrics-exporter-prometheus`, only
/// `with_recommended_naming(true)` adds `_total`, `_seconds` and `_bytes`; the duration is a summary unless buckets are
/// set for it. The example `observed` does so.
///
/// Where layers stand one inside the other, each counts what it decides; a connection is counted once.
///
/// The labels with a dot are attributes of the semantic conventions of `OpenTelemetry`, which have no metrics for
/// `WebSocket` connections.
///
/// ```
/// // Once a recorder has been installed, for example by `metrics_exporter_prometheus::PrometheusBuilder`:
/// ws_handshake::describe_metrics();
/// ```
pub fn describe_metrics() {
    metrics::describe_counter!(HANDSHAKES, Unit::Count, "WebSocket handshakes decided");
    metrics::describe_gauge!(ACTIVE, Unit::Count, "WebSocket connections that are open");
    metrics::describe_histogram!(DURATION, Unit::Seconds, "How long WebSocket connections lasted");
    metrics::describe_counter!(IO, Unit::Bytes, "Bytes read from and written to WebSocket connections");
}

const HANDSHAKES: &str = "websocket.server.handshakes";
const ACTIVE: &str = "websocket.server.active_connections";
const DURATION: &str = "websocket.server.connection.duration";
const IO: &str = "websocket.server.io";

// Labels that are literals cost no allocation.

pub(super) fn approved(version: &'static str) {
    let approved = match version {
        "1.1" => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => "1.1"),
        "2" => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => "2"),
        other => counter!(HANDSHAKES, "outcome" => "approved", "network.protocol.version" => other),
    };
    approved.increment(1);
}

pub(super) fn refused(kind: RejectionKind, version: &'static str) {
    counter!(HANDSHAKES, "outcome" => "refused", "error.type" => kind.name(), "network.protocol.version" => version)
        .increment(1);
}

/// The meter of one connection.
pub(super) struct Meter {
    active: Gauge,
    read: Counter,
    written: Counter,
}

impl Meter {
    pub(super) const IS_DISABLED: bool = false;

    pub(super) fn new() -> Self {
        let active = gauge!(ACTIVE);
        active.increment(1);
        let read = counter!(IO, "network.io.direction" => "receive");
        let written = counter!(IO, "network.io.direction" => "transmit");
        Self { active, read, written }
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read.increment(bytes);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.written.increment(bytes);
    }

    pub(super) fn end(&self, lasted: Duration, end: &'static str) {
        self.active.decrement(1);
        histogram!(DURATION, "end" => end).record(lasted);
    }
}
