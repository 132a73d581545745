//! The HTTP version, as named in telemetry.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_as_opentelemetry_names_them() {
        let rows =
            [(Version::HTTP_10, "1.0"), (Version::HTTP_11, "1.1"), (Version::HTTP_2, "2"), (Version::HTTP_3, "3")];
        for (version, expected) in rows {
            assert_eq!(name(version), expected);
        }
    }
}
