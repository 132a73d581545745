//! The version of HTTP, as telemetry names it.

use http::Version;

/// The value of OpenTelemetry's `network.protocol.version`.
pub(crate) fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.0",
    }
}
