//! Which pages may connect: origins and hosts against lists of patterns.

use http::{HeaderValue, request::Parts};
use url::{Host, Url};
use ws_handshake::{AllowHost, Origin, OriginList, OriginPattern, Policy, handshake::ClientHandshake};

use crate::handshake::handshake;

/// Takes an origin, a host, and patterns for either, one per line. `&` in the first two stands for the host and port of the first pattern,
/// so that near misses are short.
///
/// An allowed origin matches a listed pattern, or the host that the request names, as the `url` crate parses them. Every http or https
/// origin that matches is allowed. A list allows what its entries allow, and a printed entry means the same as the original.
pub fn origin(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (Some(origin), Some(host)) = (lines.next(), lines.next()) else { return };
    let patterns: Vec<_> = lines.take(16).collect();
    let near = patterns.first().map_or("", |first| Pattern::read(first).host);
    let (origin, host) = (origin.replace('&', near), host.replace('&', near));

    by_list(&origin, &patterns);
    by_same_origin(&origin, &host);
    by_host(&host, &patterns);
}

fn by_list(origin: &str, patterns: &[&str]) {
    let parsed = origin.parse::<Origin>().ok();
    if let Some(parsed) = &parsed {
        assert_eq!(parsed.as_str().parse().as_ref(), Ok(parsed), "an origin printed is another");
    }
    let (mut listed, mut any) = (Vec::new(), false);
    for text in patterns {
        let Ok(pattern) = text.parse::<OriginPattern>() else { continue };
        assert_eq!(pattern.to_string().parse().as_ref(), Ok(&pattern), "a pattern printed is another");
        if let Some(parsed) = &parsed {
            let allowed = pattern.matches(parsed);
            check(allowed, origin, text);
            any |= allowed;
        }
        listed.push(text);
    }
    assert_eq!(OriginList::new(patterns).is_ok(), listed.len() == patterns.len());
    let list = OriginList::new(listed).expect("they were parsed");
    assert_eq!(parsed.is_some_and(|parsed| list.contains(&parsed)), any, "a list is not its patterns");
    let policy = Policy::new().allow_origin(list);
    let parts = request("server.example", Some(origin));
    assert_eq!(parts.is_some_and(|parts| approves(&policy, &parts)), any, "a policy is not its list");
}

fn by_same_origin(origin: &str, host: &str) {
    let Some(mut parts) = request(host, Some(origin)) else { return };
    let allowed = approves(&Policy::new(), &parts);
    let scheme = page_scheme(Pattern::read(origin).scheme);
    if is_http(&scheme) && origin.parse::<Origin>().is_ok() && ClientHandshake::from_parts(&parts).is_ok() {
        check(allowed, origin, &format!("{scheme}://{host}"));
    } else {
        assert!(!allowed, "{origin} on {host}");
    }
    parts.headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    assert!(!approves(&Policy::new(), &parts), "the browser says that the page is of another site");
}

fn by_host(host: &str, patterns: &[&str]) {
    let Some(parts) = request(host, None) else { return };
    let allowed = |patterns: &[&str]| {
        AllowHost::list(patterns).ok().map(|hosts| approves(&Policy::new().allow_host(hosts), &parts))
    };
    let (mut listed, mut any) = (Vec::new(), false);
    for text in patterns {
        let Some(allowed) = allowed(&[text]) else { continue };
        // The scheme has no default port, so only a written port counts. Without a port, all ports are meant.
        let ported = text.ends_with(":*") || parse(&format!("x://{text}")).is_some_and(|url| url.port().is_some());
        check(allowed, &format!("x://{host}"), &format!("x://{text}{}", if ported { "" } else { ":*" }));
        listed.push(*text);
        any |= allowed;
    }
    assert_eq!(allowed(patterns).is_some(), listed.len() == patterns.len());
    assert_eq!(allowed(&listed), Some(any), "a list is not its hosts");
}

/// Compares the crate's decision on an origin and a pattern with the decision of the `url` crate.
fn check(allowed: bool, origin: &str, pattern: &str) {
    let (text, pattern) = (origin, Pattern::read(pattern));
    let scheme = page_scheme(pattern.scheme);
    let origin = parse(origin);
    if pattern.host == "*" {
        assert_eq!(allowed, origin.is_some_and(|origin| origin.scheme() == scheme), "{text} under {pattern:?}");
        return;
    }
    let own = parse(&format!("{scheme}://{}", pattern.host));
    let admits = match (&origin, &own) {
        (Some(origin), Some(own)) => pattern.admits(origin, own),
        // `null`, and names that look like punycode but are not, which browsers do not send.
        _ if text.to_ascii_lowercase().contains("xn--") => return,
        _ => text == "null" && pattern.host == "null",
    };
    if origin.is_some_and(|origin| is_http(origin.scheme())) {
        assert_eq!(allowed, admits, "{text} under {pattern:?}");
    } else {
        assert!(admits || !allowed, "{text} under {pattern:?}");
    }
}

/// A pattern of origins or hosts, split without a check.
#[derive(Debug)]
struct Pattern<'a> {
    scheme: &'a str,
    below: bool,
    /// With its port, if there is one.
    host: &'a str,
    any_port: bool,
}

impl<'a> Pattern<'a> {
    fn read(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (rest, below) = rest.strip_prefix("*.").map_or((rest, false), |rest| (rest, true));
        let (host, any_port) = rest.strip_suffix(":*").map_or((rest, false), |rest| (rest, true));
        Self { scheme, below, host, any_port }
    }

    fn admits(&self, origin: &Url, own: &Url) -> bool {
        let name = |url: &Url| url.host_str().unwrap_or_default().to_ascii_lowercase();
        let (name, own_name) = (name(origin), name(own));
        let host = if self.below {
            let (labels, above) = (name.split('.').collect::<Vec<_>>(), own_name.split('.').collect::<Vec<_>>());
            let more = labels.strip_suffix(&above[..]).unwrap_or_default();
            matches!(origin.host(), Some(Host::Domain(_))) && !more.is_empty() && !more.contains(&"")
        } else {
            name == own_name
        };
        let port = self.any_port || origin.port_or_known_default() == own.port_or_known_default();
        host && port && origin.scheme() == own.scheme()
    }
}

/// In lower case. A socket's scheme becomes the scheme of its page.
fn page_scheme(scheme: &str) -> String {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http".into(),
        "wss" => "https".into(),
        scheme => scheme.into(),
    }
}

/// The `url` crate removes hosts from file URLs, and has no ports for them.
fn parse(text: &str) -> Option<Url> {
    let text = &match text.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", page_scheme(scheme)),
        None => text.to_owned(),
    };
    let is_file = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
    if is_file { Url::parse(&format!("x-{text}")).ok() } else { Url::parse(text).ok() }
}

fn is_http(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// `None` if the values are not valid headers.
fn request(host: &str, origin: Option<&str>) -> Option<Parts> {
    let builder = handshake(host);
    let builder = if let Some(origin) = origin { builder.header("origin", origin) } else { builder };
    Some(builder.body(()).ok()?.into_parts().0)
}

fn approves(policy: &Policy, parts: &Parts) -> bool {
    let client = ClientHandshake::from_parts(parts).ok().flatten();
    client.is_some_and(|client| policy.decide(&client, parts).now().is_some_and(|decision| decision.is_ok()))
}
