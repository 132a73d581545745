use http::request::Builder;

use super::*;
use crate::handshake::OfferedSubprotocols;
use RejectionKind as K;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The headers of a valid request.
const VALID: [(&str, &str); 5] = [
    ("host", "example.com"),
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
];

/// One way to break a valid request: a header, and its new lines.
type Change<'a> = (&'a str, &'a [&'a str]);

fn request(builder: Builder, changes: &[Change<'_>]) -> Request<()> {
    let kept = VALID.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let new = changes.iter().flat_map(|(name, lines)| lines.iter().map(move |line| (name, line)));
    let builder = kept.fold(builder, |builder, (name, value)| builder.header(*name, *value));
    new.fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

fn read(builder: Builder, changes: &[Change<'_>]) -> Result<Option<ClientHandshake>, K> {
    ClientHandshake::from_request(&request(builder, changes)).map_err(|rejection| rejection.kind())
}

fn get() -> Builder {
    Request::get("/chat")
}

fn kind(result: Result<Option<ClientHandshake>, K>) -> Option<K> {
    result.map(|handshake| assert!(handshake.is_some(), "it is taken for no handshake")).err()
}

#[test]
fn a_valid_handshake_is_read() {
    let handshake = read(get(), &[]).unwrap().unwrap();
    assert_eq!(handshake.key().unwrap().as_str(), KEY);
    assert_eq!((handshake.authority().host(), handshake.authority().port()), ("example.com", None));
    assert_eq!(handshake.version(), Version::HTTP_11);
}

#[test]
fn what_asks_for_a_websocket() {
    let rows: &[(&str, &[&str], bool)] = &[
        ("in any case", &["WebSocket"], true),
        ("among others", &["foo, websocket"], true),
        ("on a second line", &["h2c", "websocket"], true),
        ("with a version behind it", &["websocket/13"], false),
        ("as part of a word", &["websockets"], false),
    ];
    for (name, lines, expected) in rows {
        let asks = RequestHead::from(&request(get(), &[("upgrade", lines)])).asks_for_websocket(None);
        assert_eq!(asks, *expected, "{name}");
    }
}

#[test]
fn each_fault_has_its_own_kind() {
    #[rustfmt::skip]
    let rows: &[(&str, Change<'_>, K)] = &[
        ("no host", ("host", &[]), K::AuthorityMissing),
        ("two hosts", ("host", &["example.com", "example.com"]), K::AuthorityRepeated),
        ("an empty host", ("host", &[""]), K::AuthorityInvalid),
        ("a malformed host", ("host", &["example.com:99999"]), K::AuthorityInvalid),
        ("a body by its length", ("content-length", &["1"]), K::BodyAnnounced),
        ("a length that is none", ("content-length", &["0x"]), K::BodyAnnounced),
        ("lengths that differ", ("content-length", &["0", "5"]), K::BodyAnnounced),
        ("a body by its coding", ("transfer-encoding", &["chunked"]), K::BodyAnnounced),
        ("no connection field", ("connection", &[]), K::ConnectionInvalid),
        ("another connection token", ("connection", &["no-upgrade-please"]), K::ConnectionInvalid),
        ("a longer connection token", ("connection", &["Upgradeaaaa"]), K::ConnectionInvalid),
        ("no version", ("sec-websocket-version", &[]), K::VersionMissing),
        ("two versions", ("sec-websocket-version", &["13", "13"]), K::VersionRepeated),
        ("a version list", ("sec-websocket-version", &["13, 8"]), K::VersionUnsupported),
        ("another version", ("sec-websocket-version", &["8"]), K::VersionUnsupported),
        ("a padded version", ("sec-websocket-version", &["0013"]), K::VersionUnsupported),
        ("no key", ("sec-websocket-key", &[]), K::KeyMissing),
        ("two keys", ("sec-websocket-key", &[KEY, KEY]), K::KeyRepeated),
        ("a short key", ("sec-websocket-key", &["c2hvcnQ="]), K::KeyInvalid),
    ];
    for (name, change, expected) in rows {
        assert_eq!(kind(read(get(), &[*change])), Some(*expected), "{name}");
    }
    for method in [Method::POST, Method::HEAD, Method::CONNECT, Method::OPTIONS] {
        let builder = Request::builder().method(&method).uri("/chat");
        assert_eq!(kind(read(builder, &[])), Some(K::MethodInvalid), "{method}");
    }
}

#[test]
fn origins_and_offers_are_left_to_the_policy() {
    #[rustfmt::skip]
    let rows: &[(&str, Change<'_>, Option<K>)] = &[
        ("one origin", ("origin", &["https://a.com"]), None),
        ("two origins", ("origin", &["https://a.com", "https://a.com"]), Some(K::OriginRepeated)),
        ("a malformed origin", ("origin", &["a.com"]), Some(K::OriginInvalid)),
        ("offers over lines", ("sec-websocket-protocol", &["b", "a,c"]), None),
        ("the same offer twice over lines", ("sec-websocket-protocol", &["b", "b"]), Some(K::SubprotocolRepeated)),
        ("a malformed offer", ("sec-websocket-protocol", &["b", "a/c"]), Some(K::SubprotocolInvalid)),
        ("extensions over lines", ("sec-websocket-extensions", &["a;b", "c"]), None),
        ("a malformed extension", ("sec-websocket-extensions", &["a", "b;"]), Some(K::ExtensionInvalid)),
    ];
    for (name, change, expected) in rows {
        let handshake = read(get(), &[*change]).unwrap().unwrap();
        let offered =
            handshake.subprotocols().map(|field| OfferedSubprotocols::from_field(field.clone(), |_| false, |_| ()));
        let faults = [handshake.origin().err(), offered.and_then(Result::err), handshake.extensions().err()];
        assert_eq!(faults.into_iter().flatten().next(), *expected, "{name}");
    }
}

#[test]
fn fields_with_lawful_variations_pass() {
    let rows: &[(&str, Change<'_>)] = &[
        ("connection as Firefox sends it", ("connection", &["keep-alive, Upgrade"])),
        ("connection on two lines", ("connection", &["keep-alive", "Upgrade"])),
        ("an empty body", ("content-length", &["0"])),
        ("a host with a port", ("host", &["Example.com:8080"])),
    ];
    for (name, change) in rows {
        assert_eq!(kind(read(get(), &[*change])), None, "{name}");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let changes: &[Change<'_>] = &[("x-unknown", &["a", "b"]), ("sec-websocket-accept", &["x"]), ("cookie", &["a=b"])];
    assert_eq!(kind(read(get(), changes)), None);
    // These names are as long as the ones in the look-up.
    for length in [4, 6, 7, 10, 14, 17, 21, 22, 24] {
        let name = "x".repeat(length);
        for lines in [&["/"][..], &["1", "/"]] {
            let handshake = read(get(), &[(&name, lines)]).unwrap().unwrap();
            assert_eq!(handshake.origin(), Ok(None), "{name}");
            assert_eq!((handshake.subprotocols(), handshake.extensions()), (None, Ok(())), "{name}");
        }
    }
    let elsewhere: &[Change<'_>] = &[("upgrade", &["x"]), ("referer", &["websocket"])];
    assert_eq!(kind(read(get(), elsewhere)), Some(K::UpgradeInvalid));
    let elsewhere: &[Change<'_>] = &[("connection", &[]), ("user-agent", &["upgrade"])];
    assert_eq!(kind(read(get(), elsewhere)), Some(K::ConnectionInvalid));
}

#[cfg(feature = "tower")]
#[test]
fn a_head_tells_what_it_names_where_that_is_well_formed() {
    let request = request(Request::post("/chat"), &[("origin", &["https://A.com"])]);
    let head = RequestHead::from(&request);
    assert_eq!((head.method(), head.path(), head.http_version()), (&Method::POST, "/chat", "1.1"));
    assert_eq!(head.named_authority().unwrap().as_str(), "example.com");
    assert_eq!(head.named_origin().unwrap().as_str(), "https://a.com");
}

#[test]
fn faults_are_found_in_the_order_of_the_rules() {
    // At first everything is wrong. Each step fixes the fault that was found.
    let mut method = Method::POST;
    let mut changes: Vec<Change<'_>> = vec![
        ("host", &[]),
        ("content-length", &["1"]),
        ("connection", &["close"]),
        ("sec-websocket-version", &[]),
        ("sec-websocket-key", &[]),
    ];
    let order = [
        K::MethodInvalid,
        K::AuthorityMissing,
        K::BodyAnnounced,
        K::ConnectionInvalid,
        K::VersionMissing,
        K::KeyMissing,
    ];
    for (step, expected) in order.into_iter().enumerate() {
        assert_eq!(kind(read(Request::builder().method(&method).uri("/"), &changes)), Some(expected));
        match step {
            0 => method = Method::GET,
            _ => _ = changes.remove(0),
        }
    }
    assert_eq!(kind(read(Request::builder().method(&method).uri("/"), &changes)), None);
}

#[test]
fn the_authority_is_one_well_formed_host() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[&str], Option<K>)] = &[
        ("the same in an absolute form", "http://example.com/", &["example.com"], None),
        ("the default port on one side", "http://example.com:80/", &["EXAMPLE.com"], None),
        ("another host in the absolute form", "http://evil.com/", &["example.com"], Some(K::AuthorityMismatched)),
        ("another port", "http://example.com:81/", &["example.com"], Some(K::AuthorityMismatched)),
        ("the default port of another scheme", "https://example.com/", &["example.com:80"], Some(K::AuthorityMismatched)),
        ("user information in the absolute form", "http://u@example.com/", &["example.com"], Some(K::AuthorityInvalid)),
        ("an absolute form without a host field", "http://example.com/", &[], Some(K::AuthorityMissing)),
    ];
    for (name, target, lines, expected) in rows {
        assert_eq!(kind(read(Request::get(*target), &[("host", lines)])), *expected, "{name}");
    }
}

#[test]
fn what_is_no_websocket_request_is_left_alone() {
    let rows: &[(&str, Request<()>)] = &[
        ("a page", request(get(), &[("upgrade", &[]), ("connection", &[])])),
        ("a page with stray WebSocket fields", request(get(), &[("upgrade", &[])])),
        ("another upgrade", Request::get("/").header("upgrade", "h2c").body(()).unwrap()),
        ("a tunnel", Request::connect("example.com:443").body(()).unwrap()),
        (
            "HTTP/1.0 with an upgrade",
            Request::get("/").version(Version::HTTP_10).header("upgrade", "websocket").body(()).unwrap(),
        ),
    ];
    for (name, request) in rows {
        assert!(matches!(ClientHandshake::from_request(request), Ok(None)), "{name}");
    }
}

/// Extractors that check only the WebSocket headers would take these for handshakes.
#[test]
fn disguised_handshakes_are_refused() {
    let both: &[&str] = &["sec-websocket-version", "sec-websocket-key"];
    for field in both {
        let without: &[Change<'_>] = &[(field, &[])];
        let with = |change: Change<'static>| [without[0], change];
        #[rustfmt::skip]
        let rows = [
            ("another upgrade", request(get(), &with(("upgrade", &["x"]))), K::UpgradeInvalid),
            ("an empty upgrade", request(get(), &with(("upgrade", &[""]))), K::UpgradeInvalid),
            ("HTTP/1.0", request(get().version(Version::HTTP_10), without), K::HttpVersionUnsupported),
            ("HTTP/1.0 for something else", request(get().version(Version::HTTP_10), &with(("upgrade", &["x"]))), K::UpgradeInvalid),
            ("an upgrade over HTTP/2", request(get().version(Version::HTTP_2), without), K::UpgradeInvalid),
            ("a tunnel", request(Request::connect("a.com:1"), &with(("upgrade", &[]))), K::UpgradeInvalid),
            ("a tunnel by HTTP/1.0", request(Request::connect("a.com:1").version(Version::HTTP_10), &with(("upgrade", &[]))), K::UpgradeInvalid),
            ("what may be an extended CONNECT", request(Request::connect("a.com:1").version(Version::HTTP_2), &with(("upgrade", &[]))), K::ExtendedConnectUnsupported),
        ];
        for (name, request, expected) in rows {
            let rejection = ClientHandshake::from_request(&request).expect_err(name);
            assert_eq!(rejection.kind(), expected, "{name} without {field}");
        }
    }
    let (parts, ()) = request(Request::connect("a.com:1").version(Version::HTTP_2), &[]).into_parts();
    // With another `:protocol`, or with none: a plain `CONNECT`.
    for protocol in ["connect-udp", ""] {
        let rejection = ClientHandshake::from_extended_connect(&parts, protocol).unwrap_err();
        assert_eq!(rejection.kind(), K::UpgradeInvalid, "{protocol:?}");
    }
}

#[test]
fn over_http3_a_handshake_is_read_as_over_http2() {
    let without = [("connection", &[][..]), ("upgrade", &[]), ("host", &[]), ("sec-websocket-key", &[])];
    let builder = Request::connect("https://example.com/chat").version(Version::HTTP_3);
    let (parts, ()) = request(builder, &without).into_parts();
    let handshake = ClientHandshake::from_extended_connect(&parts, "websocket").unwrap().expect("a handshake");
    assert_eq!(handshake.version(), Version::HTTP_3);
    assert_eq!((handshake.authority().host(), handshake.authority().port()), ("example.com", None));
}

#[test]
fn over_http3_another_protocol_is_not_implemented() {
    let (parts, ()) = request(Request::connect("a.com:1").version(Version::HTTP_3), &[]).into_parts();
    for (protocol, kind, status) in [
        ("connect-udp", K::ProtocolUnsupported, 501),
        ("webtransport", K::ProtocolUnsupported, 501),
        ("", K::UpgradeInvalid, 400),
    ] {
        let rejection = ClientHandshake::from_extended_connect(&parts, protocol).unwrap_err();
        assert_eq!((rejection.kind(), rejection.status().as_u16()), (kind, status), "{protocol:?}");
    }
}

mod extended_connect {
    use super::*;

    const TARGET: &str = "https://example.com/chat";

    fn read(target: &str, protocol: &str, changes: &[Change<'_>]) -> Result<Option<ClientHandshake>, Rejection> {
        let changes = [&[("connection", &[][..]), ("upgrade", &[]), ("host", &[])], changes].concat();
        let builder = Request::builder().method(Method::CONNECT).uri(target).version(Version::HTTP_2);
        let (parts, ()) = request(builder, &changes).into_parts();
        ClientHandshake::from_extended_connect(&parts, protocol)
    }

    #[test]
    fn websocket_in_any_case_is_read_and_its_key_ignored() {
        for protocol in ["websocket", "WebSocket", " websocket\t"] {
            for key in [&[][..], &[KEY], &["broken"], &[KEY, KEY]] {
                let handshake = read(TARGET, protocol, &[("sec-websocket-key", key)]).unwrap().unwrap();
                assert!(handshake.key().is_none());
                assert_eq!(handshake.authority().host(), "example.com");
                assert_eq!(handshake.version(), Version::HTTP_2);
            }
        }
        assert!(
            read(TARGET, "other", &[("sec-websocket-key", &[]), ("sec-websocket-version", &[])]).unwrap().is_none()
        );
    }

    #[test]
    fn what_nobody_has_read_may_ask_for_a_websocket() {
        let connect = |changes| request(Request::connect(TARGET).version(Version::HTTP_2), changes);
        let bare: &[Change<'_>] = &[("sec-websocket-version", &[]), ("sec-websocket-key", &[])];
        let rows = [(None, true, false), (Some("websocket"), true, true), (Some("other"), false, false)];
        for (protocol, with_fields, without) in rows {
            assert_eq!(RequestHead::from(&connect(&[])).asks_for_websocket(protocol), with_fields, "{protocol:?}");
            assert_eq!(RequestHead::from(&connect(bare)).asks_for_websocket(protocol), without, "{protocol:?}");
        }
    }

    #[test]
    fn faults_are_400_and_name_no_connection() {
        #[rustfmt::skip]
        let rows: &[(&str, &str, Change<'_>, K)] = &[
            ("no authority", "/chat", ("host", &[]), K::AuthorityMissing),
            ("a host field alone", "/chat", ("host", &["example.com"]), K::AuthorityMissing),
            ("a host field that disagrees", TARGET, ("host", &["evil.com"]), K::AuthorityMismatched),
            ("two host fields", TARGET, ("host", &["example.com", "example.com"]), K::AuthorityRepeated),
            ("a malformed authority", "https://example.com:99999/", ("host", &[]), K::AuthorityInvalid),
            ("a length", TARGET, ("content-length", &["0"]), K::BodyAnnounced),
            ("no version", TARGET, ("sec-websocket-version", &[]), K::VersionMissing),
            ("another version", TARGET, ("sec-websocket-version", &["8"]), K::VersionUnsupported),
        ];
        for (name, target, change, expected) in rows {
            let rejection = read(target, "websocket", &[*change]).expect_err(name);
            assert_eq!((rejection.kind(), rejection.status().as_u16()), (*expected, 400), "{name}");
            let response = rejection.response::<&str>();
            assert!(!response.headers().contains_key(CONNECTION), "{name}");
            assert!(!response.headers().contains_key(UPGRADE), "{name}");
        }
        assert!(read(TARGET, "websocket", &[("host", &["Example.com:443"])]).is_ok());
    }
}
