use std::hash::BuildHasher as _;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Option<Origin> {
    text.parse().ok()
}

#[test]
fn origins_print_as_a_browser_sends_them() {
    let rows = [
        ("null", "null", None),
        ("https://a.com", "https://a.com", Some(443)),
        ("HTTPS://A.Com", "https://a.com", Some(443)),
        ("HTTPS://a.com", "https://a.com", Some(443)),
        ("https://a.com:443", "https://a.com", Some(443)),
        ("http://a.com:80", "http://a.com", Some(80)),
        ("http://a.com:443", "http://a.com:443", Some(443)),
        ("https://a.com:0", "https://a.com:0", Some(0)),
        ("https://a.com.", "https://a.com.", Some(443)),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", Some(3000)),
        ("http://[::1]:3000", "http://[::1]:3000", Some(3000)),
        ("http://[0:0::1]", "http://[::1]", Some(80)),
        ("http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]", Some(80)),
        ("http://[::FFFF:102:304]", "http://[::ffff:102:304]", Some(80)),
        ("chrome-extension://abcdef", "chrome-extension://abcdef", None),
        ("tauri://localhost", "tauri://localhost", None),
        ("app://a.com:443", "app://a.com:443", Some(443)),
        ("file://", "file://", None),
        ("ws://192.168.1.5:8080", "http://192.168.1.5:8080", Some(8080)),
        ("ws://a.com", "http://a.com", Some(80)),
        ("wss://a.com", "https://a.com", Some(443)),
        ("WSS://A.com:443", "https://a.com", Some(443)),
        ("wss://a.com:80", "https://a.com:80", Some(80)),
        ("wsx://a.com", "wsx://a.com", None),
        ("xss://a.com", "xss://a.com", None),
        ("qt://a.com", "qt://a.com", None),
    ];
    for (text, printed, port) in rows {
        let origin = parse(text).unwrap_or_else(|| panic!("{text} is refused"));
        assert_eq!((origin.as_str(), origin.port()), (printed, port), "{text}");
        assert_eq!(parse(printed).as_ref(), Some(&origin), "{text} prints as something else");
    }
}

#[test]
fn origins_compare_hash_and_print_by_their_canonical_text() {
    let hash = |origin: &Origin| std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(origin);
    let [one, same, other] = ["https://a.com", "HTTPS://A.com:443", "http://a.com"].map(|text| parse(text).unwrap());
    assert_eq!((&one, hash(&one), one.to_string()), (&same, hash(&same), same.to_string()));
    assert_ne!(one, other);
    assert_ne!(hash(&one), hash(&other));
    assert_eq!((one.to_string(), format!("{one:?}")), ("https://a.com".into(), "Origin(\"https://a.com\")".into()));
    let error = "a.com".parse::<Origin>().unwrap_err();
    assert_eq!(error.to_string(), "an origin is `null` or `scheme://host[:port]`");
}

#[test]
fn an_origin_has_at_most_512_bytes() {
    let of = |length: usize| format!("{}://a.com", "a".repeat(length - "://a.com".len()));
    assert!(parse(&of(512)).is_some());
    assert!(parse(&of(513)).is_none());
}

#[test]
fn parts_are_those_of_the_canonical_text() {
    let origin = parse("HTTP://[0:0::1]:8080").unwrap();
    assert_eq!((origin.scheme(), origin.host(), origin.port()), (Some("http"), Some("[::1]"), Some(8080)));
    assert!(!origin.is_opaque());
    let opaque = parse("null").unwrap();
    assert!(opaque.is_opaque());
    assert_eq!((opaque.scheme(), opaque.host(), opaque.port()), (None, None, None));
}

#[test]
fn what_is_no_serialized_origin_is_refused() {
    let long = format!("https://{}.com", "a".repeat(600));
    #[rustfmt::skip]
    let bad = [
        "", " ", "NULL", "null ", "*", "a.com", "//a.com", "https:a.com", "https:/a.com", "https:///a.com", "https://",
        "http://", "://a.com", "1http://a.com", "ht_tp://a.com", "https://a.com/", "https://a.com/x", "https://a.com?", "https://a.com#",
        "https://u@a.com", "https://a.com@evil.com", "https://evil.com/.a.com", "https://a.com\\.evil.com", "https://a.com:",
        "https://a.com:99999", "https://a.com:080", "https://[::1", "https://[::1%25lo]", "https://127.1", "https://0x7f.1",
        "https://a.com, https://b.com", "https://a.com https://b.com", "https://a.com\thttps://b.com", "https://%61.com",
        "https://\u{e4}.com", "https://a..com", "file:///", "file://?", "data:,x", &long,
    ];
    for text in bad {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

/// Texts similar to origins, and often valid: every part may be right, odd or missing.
fn like_an_origin() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-cA-C0-9_-]{1,6}(\\.[a-cA-C0-9x-]{1,4}){0,3}\\.?",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        any::<[bool; 8]>().prop_map(|zeros| {
            let pieces = zeros.map(|zero| if zero { 0 } else { 0xab });
            format!("[{}]", std::net::Ipv6Addr::from(pieces))
        }),
        "\\PC{0,8}",
    ];
    let port = prop_oneof![Just(String::new()), ":[0-9]{0,6}", Just(":80".into()), Just(":443".into())];
    ("(http|https|HTTP|Https|ws|wss|app|file)?", "(://|:/|:)", host, port, "[/?# ]?")
        .prop_map(|(scheme, colon, host, port, tail)| format!("{scheme}{colon}{host}{port}{tail}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16 * ProptestConfig::default().cases))]

    #[test]
    fn what_is_accepted_is_what_the_url_crate_reads(text in like_an_origin()) {
        let Some(origin) = parse(&text) else { return Ok(()) };
        if !matches!(origin.scheme(), Some("http" | "https")) {
            return Ok(());
        }
        let text = text.to_ascii_lowercase().replacen("ws", "http", usize::from(text.starts_with("ws")));
        // The url crate decodes punycode and refuses invalid punycode. This crate treats it as any other name.
        prop_assume!(!text.to_ascii_lowercase().contains("xn--"));
        let url = url::Url::parse(&text).unwrap();
        prop_assert_eq!(origin.as_str(), url.origin().ascii_serialization());
        prop_assert_eq!(origin.port(), url.port_or_known_default());
    }

    #[test]
    fn what_a_browser_sends_is_accepted(
        tls: bool, host in "[a-z0-9_]{1,8}(\\.[a-z0-9]{1,5}){0,2}\\.?", port: Option<u16>,
    ) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let Ok(url) = url::Url::parse(&format!("http{}://{host}{port}", if tls { "s" } else { "" })) else { return Ok(()) };
        let sent = url.origin().ascii_serialization();
        let origin = parse(&sent);
        prop_assert_eq!(origin.as_ref().map(Origin::as_str), Some(sent.as_str()));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let _ = Origin::from_value(&value);
        }
        let _ = parse(&format!("https://{}", String::from_utf8_lossy(&bytes)));
    }
}
