//! Foreign origins that a wrong policy could accept.

use std::fmt;

use crate::handshake::Origin;

/// An origin whose pages should not connect, from [`foreign_origins`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignOrigin {
    /// The origin, as a browser sends it.
    pub origin: Origin,
    /// What a page of this origin is, or how the origin resembles your own.
    pub description: &'static str,
}

/// Returns origins that differ from `own`, for tests of a policy.
///
/// One is another site, and one is `null`. Each of the others passes a comparison with a common mistake:
///
/// - It begins or ends as `own` does.
/// - It has another character in place of a dot.
/// - It differs only in its port.
///
/// Subdomains are not included, because a policy may admit them on purpose.
///
/// ```
/// use ws_handshake::{Origin, testing::foreign_origins};
///
/// let own: Origin = "https://app.example.com".parse()?;
/// let foreign: Vec<_> = foreign_origins(&own).map(|foreign| foreign.to_string()).collect();
/// assert_eq!(
///     foreign,
///     [
///         "https://evil.example",
///         "null",
///         "https://app.example.com.evil.example",
///         "https://evilapp.example.com",
///         "https://appxexample.com",
///         "https://app.example.com:8443",
///     ]
/// );
/// # Ok::<_, ws_handshake::handshake::InvalidOrigin>(())
/// ```
///
/// `http` in place of `https` is not included. Over HTTP/1.1, a server behind a proxy cannot know which of them its own pages have. A list
/// of origins tells them apart.
///
/// If `own` is `null`, or neither `http` nor `https`, there are no look-alikes.
pub fn foreign_origins(own: &Origin) -> impl Iterator<Item = ForeignOrigin> + use<> {
    let strangers =
        [("https://evil.example".into(), "another site"), ("null".into(), "a sandboxed frame or a local file")];
    let foreign = strangers.into_iter().chain(look_alikes(own).unwrap_or_default());
    let foreign =
        foreign.filter_map(|(origin, description)| Some(ForeignOrigin { origin: origin.parse().ok()?, description }));
    let own = own.clone();
    foreign.filter(move |foreign| foreign.origin != own)
}

fn look_alikes(own: &Origin) -> Option<Vec<(String, &'static str)>> {
    let (scheme, host, port) = (own.scheme()?, own.host()?, own.port()?);
    let written = own.as_str();
    let has_port = !written.ends_with(host);
    let port_text = if has_port { format!(":{port}") } else { String::new() };
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();

    let mut origins = Vec::new();
    if !host.starts_with('[') {
        origins.push((format!("{scheme}://{host}.evil.example{port_text}"), "begins with your host"));
    }
    let dots: Vec<_> = host.match_indices('.').map(|(at, _)| at).collect();
    if let (false, [before @ .., _]) = (is_address, &dots[..]) {
        origins.push((format!("{scheme}://evil{host}{port_text}"), "ends with your host"));
        for &dot in before {
            let (start, end) = (&host[..dot], &host[dot + 1..]);
            origins
                .push((format!("{scheme}://{start}x{end}{port_text}"), "has a letter in place of a dot of your host"));
        }
    }
    origins.push((format!("{scheme}://{host}:{}", another_port(port, has_port)), "has another port"));
    Some(origins)
}

/// Another port with the same digits and one more. If that is too large, it has one digit less.
fn another_port(port: u16, is_written: bool) -> u16 {
    if is_written { port.checked_mul(10).unwrap_or(port / 10) } else { 8443 }
}

impl fmt::Display for ForeignOrigin {
    /// Writes the origin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_differs_from_the_own_origin_and_resembles_it() {
        let rows: [(&str, &[&str]); 8] = [
            (
                "https://a.b.example.com",
                &[
                    "https://a.b.example.com.evil.example",
                    "https://evila.b.example.com",
                    "https://axb.example.com",
                    "https://a.bxexample.com",
                    "https://a.b.example.com:8443",
                ],
            ),
            ("http://127.0.0.1:3000", &["http://127.0.0.1.evil.example:3000", "http://127.0.0.1:30000"]),
            ("http://localhost", &["http://localhost.evil.example", "http://localhost:8443"]),
            ("http://[::1]:8080", &["http://[::1]:808"]),
            (
                "https://example.com:4000",
                &["https://example.com.evil.example:4000", "https://evilexample.com:4000", "https://example.com:40000"],
            ),
            (
                "http://a.example.com",
                &[
                    "http://a.example.com.evil.example",
                    "http://evila.example.com",
                    "http://axexample.com",
                    "http://a.example.com:8443",
                ],
            ),
            ("null", &[]),
            ("app://own", &[]),
        ];
        for (own, expected) in rows {
            let own: Origin = own.parse().unwrap();
            let origins: Vec<_> = foreign_origins(&own).map(|foreign| foreign.origin).collect();
            assert!(!origins.contains(&own), "{own}");
            let strangers = if own.is_opaque() { &origins[..1] } else { &origins[..2] };
            assert_eq!(strangers[0].as_str(), "https://evil.example");
            assert!(strangers[1..].iter().all(Origin::is_opaque));
            let look_alikes = &origins[strangers.len()..];
            assert_eq!(look_alikes.iter().map(Origin::as_str).collect::<Vec<_>>(), expected, "{own}");
        }
    }
}
