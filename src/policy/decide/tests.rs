use std::task::Waker;

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::handshake::{Origin, RejectionKind as K};

/// A handshake to `https://example.com`, as a browser sends it from a page there, with these headers set or removed.
fn request(changes: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::get("/chat")
        .header("host", "example.com")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("origin", "https://example.com")
        .body(())
        .unwrap();
    for (name, _) in changes {
        request.headers_mut().remove(*name);
    }
    for (name, value) in changes.iter().filter(|(_, value)| *value != "-") {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

type Changes = &'static [(&'static str, &'static str)];

fn deciding(policy: &Policy, request: Request<()>) -> Deciding {
    let (parts, ()) = request.into_parts();
    let client = ClientHandshake::from_parts(&parts).unwrap().unwrap();
    policy.decide(&client, &parts)
}

fn decide(policy: &Policy, changes: &[(&'static str, &str)]) -> Result<ServerHandshake, K> {
    let decision = deciding(policy, request(changes)).now().unwrap();
    decision.map_err(|rejection| rejection.kind())
}

fn verdict(policy: &Policy, changes: &[(&'static str, &str)]) -> Option<K> {
    decide(policy, changes).err()
}

#[test]
fn the_answer_is_the_one_of_the_rfc() {
    let response = decide(&Policy::new(), &[]).unwrap().response::<()>();
    assert_eq!(response.status(), 101);
    let fields: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        fields,
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    );
}

#[test]
fn the_answer_over_http2_is_200_without_fields() {
    let (parts, ()) = Request::connect("https://example.com/chat")
        .version(http::Version::HTTP_2)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap()
        .into_parts();
    let client = ClientHandshake::from_extended_connect(&parts, "websocket").unwrap().unwrap();
    let policy = Policy::new().subprotocols(Subprotocols::new(["chat"]).unwrap());
    let response = policy.decide(&client, &parts).now().unwrap().unwrap().response::<()>();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn same_origin_is_the_default() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, Option<K>)] = &[
        ("the same", "example.com", "https://example.com", None),
        ("by http", "example.com", "http://example.com", None),
        ("in another case", "EXAMPLE.com", "https://Example.COM", None),
        ("the default port on the request", "example.com:443", "https://example.com", None),
        ("the default port of http", "example.com:80", "http://example.com", None),
        ("the default port of the other scheme", "example.com:80", "https://example.com", Some(K::OriginNotAllowed)),
        ("another port", "example.com:8443", "https://example.com:8443", None),
        ("a port on the request alone", "example.com:8443", "https://example.com", Some(K::OriginNotAllowed)),
        ("a port on the origin alone", "example.com", "https://example.com:8443", Some(K::OriginNotAllowed)),
        ("a final dot", "example.com", "https://example.com.", Some(K::OriginNotAllowed)),
        ("a name below", "example.com", "https://a.example.com", Some(K::OriginNotAllowed)),
        ("a name above", "a.example.com", "https://example.com", Some(K::OriginNotAllowed)),
        ("a look-alike", "example.com", "https://example.com.evil.com", Some(K::OriginNotAllowed)),
        ("IPv6 in two spellings", "[0:0::1]:3000", "http://[::1]:3000", None),
        ("IPv4 and what maps to it", "1.2.3.4", "http://[::ffff:102:304]", Some(K::OriginNotAllowed)),
        ("the URL of the socket", "example.com:443", "wss://example.com", None),
        ("the URL of the socket by its address", "192.168.1.5:8080", "ws://192.168.1.5:8080", None),
        ("the URL of another socket", "example.com", "wss://evil.com", Some(K::OriginNotAllowed)),
        ("the URL of a socket on another port", "example.com:443", "ws://example.com", Some(K::OriginNotAllowed)),
        ("a custom scheme of the same host", "localhost", "tauri://localhost", Some(K::OriginNotAllowed)),
        ("an opaque origin", "null", "null", Some(K::OriginNotAllowed)),
        ("a file", "example.com", "file://", Some(K::OriginNotAllowed)),
        ("no serialized origin", "example.com", "https://example.com/", Some(K::OriginInvalid)),
        ("an empty origin", "example.com", "", Some(K::OriginInvalid)),
    ];
    for (name, host, origin, expected) in rows {
        assert_eq!(verdict(&Policy::new(), &[("host", host), ("origin", origin)]), *expected, "{name}");
    }
}

#[test]
fn an_origin_that_no_page_has_is_admitted_byte_for_byte() {
    let apps = ["app://.", "qrc://", "https://github.com/gilmaimon/TinyWebsockets", "file:///", "null"];
    let policy = Policy::new().allow_origin(AllowOrigin::same_origin().or(AllowOrigin::exact(apps).unwrap()));
    for origin in apps {
        let server = decide(&policy, &[("origin", origin)]).unwrap();
        assert_eq!(server.origin().map(Origin::as_str), Some("null").filter(|null| *null == origin), "{origin}");
        assert!(verdict(&Policy::new(), &[("origin", origin)]).is_some(), "{origin} by default");
    }
    let others = ["app://", "APP://.", "app://..", "qrc:///", "https://github.com/gilmaimon/", "NULL", "file://"];
    for origin in others {
        assert!(verdict(&policy, &[("origin", origin)]).is_some(), "{origin}");
    }
    assert_eq!(verdict(&policy, &[("origin", "app://."), ("origin", "app://.")]), Some(K::OriginRepeated));
    assert_eq!(verdict(&policy, &[("origin", "https://example.com")]), None, "beside the other rule");
    assert_eq!(verdict(&policy.require_origin(true), &[("origin", "app://.")]), None, "it is an origin");
}

#[test]
fn exact_origins_are_values_that_a_header_can_have() {
    let rows = [
        ("", "1 to 512 bytes"),
        (" app://.", "without whitespace around it"),
        ("app://.\t", "without whitespace around it"),
        ("app://\0", "no control characters"),
        ("https://*.example.com", "write wildcards in `AllowOrigin::list`"),
        (&"a".repeat(513), "1 to 512 bytes"),
    ];
    for (value, advice) in rows {
        let error = AllowOrigin::exact([value]).unwrap_err();
        assert_eq!(error.value(), value);
        assert!(error.to_string().contains(advice), "{value:?}: {error}");
    }
    assert!(AllowOrigin::exact(["a".repeat(512)]).is_ok());
}

#[test]
fn a_request_by_https_has_no_http_page() {
    let policy = Policy::new();
    let verdict = |target: &str, origin| {
        let mut request = request(&[("origin", origin)]);
        *request.uri_mut() = target.parse().unwrap();
        deciding(&policy, request).now().unwrap().err().map(|rejection| rejection.kind())
    };
    assert_eq!(verdict("https://example.com/", "https://example.com"), None);
    assert_eq!(verdict("https://example.com/", "http://example.com"), Some(K::OriginNotAllowed));
    assert_eq!(verdict("https://example.com/", "wss://example.com"), None);
    assert_eq!(verdict("https://example.com/", "ws://example.com"), Some(K::OriginNotAllowed));
    assert_eq!(verdict("wss://example.com:443/", "wss://example.com"), None, "`Host` leaves the port out");
    assert_eq!(verdict("wss://example.com/", "https://example.com"), None);
    assert_eq!(verdict("wss://example.com/", "http://example.com"), Some(K::OriginNotAllowed));
    // Over HTTP/2, no URI parser has changed the scheme to lower case.
    let mut shouted = request(&[("origin", "http://example.com")]);
    *shouted.uri_mut() =
        http::Uri::builder().scheme("HTTPS").authority("example.com").path_and_query("/").build().unwrap();
    let decided = deciding(&policy, shouted).now().unwrap().map(drop);
    assert_eq!(decided.map_err(|rejection| rejection.kind()), Err(K::OriginNotAllowed));
    // A proxy that ends TLS speaks `http` to the server.
    assert_eq!(verdict("http://example.com/", "https://example.com"), None);
}

#[test]
fn another_site_vetoes_the_same_origin_rule_alone() {
    let same = Policy::new();
    let list = Policy::new().allow_origin(AllowOrigin::list(["https://example.com"]).unwrap());
    let rows = [
        ("same-origin", None),
        ("none", None),
        ("same-site", Some(K::OriginNotAllowed)),
        ("cross-site", Some(K::OriginNotAllowed)),
        ("", Some(K::OriginNotAllowed)),
        ("SAME-ORIGIN", Some(K::OriginNotAllowed)),
    ];
    for (site, expected) in rows {
        assert_eq!(verdict(&same, &[("sec-fetch-site", site)]), expected, "{site}");
        assert_eq!(verdict(&list, &[("sec-fetch-site", site)]), None, "{site}, listed");
    }
    let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    assert_eq!(verdict(&same, &twice), Some(K::OriginNotAllowed));
}

#[test]
fn no_origin_is_no_browser() {
    let none = ("origin", "-");
    let never = || AllowOrigin::predicate(|_, _| panic!("a predicate is asked without an origin"));
    let rows = [
        ("by default", Policy::new(), None),
        ("with an empty list", Policy::new().allow_origin(AllowOrigin::list([] as [&str; 0]).unwrap()), None),
        ("with a predicate", Policy::new().allow_origin(never()), None),
        ("where it is required", Policy::new().require_origin(true), Some(K::OriginMissing)),
        (
            "where it is required and any will do",
            Policy::new().allow_origin(AllowOrigin::any()).require_origin(true),
            Some(K::OriginMissing),
        ),
    ];
    for (name, policy, expected) in rows {
        assert_eq!(verdict(&policy, &[none]), expected, "{name}");
    }
    assert_eq!(verdict(&Policy::new(), &[none, ("sec-fetch-site", "cross-site")]), Some(K::SiteNotAllowed));
    assert_eq!(verdict(&Policy::new(), &[none, ("sec-fetch-site", "none")]), None);
    let any = Policy::new().allow_origin(AllowOrigin::any());
    assert_eq!(verdict(&any, &[none, ("sec-fetch-site", "cross-site")]), None);
}

#[test]
fn trusted_origins_come_on_top_of_those_that_may_connect_already() {
    let verdict = |policy: &Policy, origin| decide(policy, &[("origin", origin)]).err();
    let policy = Policy::new().add_trusted_origins(["https://app.com"]).unwrap();
    let policy = policy.add_trusted_origins(["https://*.partner.com"]).unwrap();
    for origin in ["http://example.com", "https://app.com", "https://x.partner.com"] {
        assert_eq!(verdict(&policy, origin), None, "{origin}");
    }
    assert_eq!(verdict(&policy, "https://evil.com"), Some(K::OriginNotAllowed));
    let error = Policy::new().add_trusted_origins(["app.com"]).map(drop).unwrap_err();
    assert_eq!(error.value(), "app.com");
    let patterns = ["https://app.com".parse::<super::super::OriginPattern>().unwrap()];
    let listed = Policy::new().allow_origin(AllowOrigin::from_iter(patterns));
    assert_eq!(verdict(&listed, "https://app.com"), None);
    assert_eq!(verdict(&listed, "http://example.com"), Some(K::OriginNotAllowed));
}

#[test]
fn any_does_not_look_at_origin() {
    let any = Policy::new().allow_origin(AllowOrigin::list(["https://a.com"]).unwrap().or(AllowOrigin::any()));
    for origin in ["https://evil.com", "null", "garbage"] {
        assert_eq!(verdict(&any, &[("origin", origin)]), None, "{origin}");
    }
    assert_eq!(verdict(&any, &[("origin", "https://a.com"), ("origin", "https://b.com")]), None);
    let required = any.require_origin(true);
    assert_eq!(verdict(&required, &[("origin", "garbage")]), Some(K::OriginInvalid));
    assert_eq!(decide(&required, &[]).unwrap().origin().unwrap().as_str(), "https://example.com");
}

#[test]
fn repeated_origins_are_400() {
    let twice = [("origin", "https://example.com"), ("origin", "https://example.com")];
    assert_eq!(verdict(&Policy::new(), &twice), Some(K::OriginRepeated));
}

#[test]
fn either_of_two_rules_admits() {
    let allow = AllowOrigin::same_origin()
        .or(AllowOrigin::list(["https://listed.com"]).unwrap())
        .or(AllowOrigin::predicate(|origin, parts| origin.host() == Some("asked.com") && parts.uri.path() == "/chat"));
    let policy = Policy::new().allow_origin(allow);
    let rows = [
        ("https://example.com", None),
        ("https://listed.com", None),
        ("https://asked.com", None),
        ("https://evil.com", Some(K::OriginNotAllowed)),
        ("null", Some(K::OriginNotAllowed)),
    ];
    for (origin, expected) in rows {
        assert_eq!(verdict(&policy, &[("origin", origin)]), expected, "{origin}");
    }
}

#[test]
fn the_host_is_checked_before_the_origin() {
    let policy = Policy::new().allow_host(AllowHost::list(["example.com"]).unwrap());
    assert_eq!(verdict(&policy, &[]), None);
    let rebound = [("host", "rebound.evil.com"), ("origin", "http://rebound.evil.com")];
    assert_eq!(verdict(&policy, &rebound), Some(K::HostNotAllowed));
    assert_eq!(verdict(&policy, &[("host", "evil.com"), ("origin", "garbage")]), Some(K::HostNotAllowed));
}

#[test]
fn subprotocols_are_selected_by_preference() {
    let speaks = || Subprotocols::new(["v2", "v1"]).unwrap();
    let rows = [
        ("the server's", speaks(), "v1, x, v2", Ok(Some("v2"))),
        ("the client's", speaks().prefer_client(true), "x, v1, v2", Ok(Some("v1"))),
        ("none in common", speaks(), "x", Ok(None)),
        ("another case", speaks(), "V1", Ok(None)),
        ("none offered", speaks(), "-", Ok(None)),
        ("none in common, though required", speaks().required(true), "x", Err(K::SubprotocolNotShared)),
        ("none offered, though required", speaks().required(true), "-", Err(K::SubprotocolNotShared)),
        ("required and offered", speaks().required(true), "x, v1", Ok(Some("v1"))),
        ("malformed", speaks(), "v1, v1", Err(K::SubprotocolRepeated)),
    ];
    for (name, subprotocols, offer, expected) in rows {
        let policy = Policy::new().subprotocols(subprotocols);
        let decision = decide(&policy, &[("sec-websocket-protocol", offer)]);
        let selected = decision.as_ref().map(ServerHandshake::subprotocol).map_err(|kind| *kind);
        assert_eq!(selected, expected, "{name}");
        if let Ok(server) = decision {
            let field = server.response::<()>().headers().get("sec-websocket-protocol").cloned();
            assert_eq!(field.as_ref().map(|value| value.to_str().unwrap()), expected.unwrap(), "{name}");
        }
    }
    // RFC 6455 §4.2.2: without configured subprotocols, the answer has no such header.
    assert_eq!(decide(&Policy::new(), &[("sec-websocket-protocol", "v1")]).unwrap().subprotocol(), None);
}

#[test]
fn malformed_offers_are_refused_whatever_is_configured() {
    assert_eq!(verdict(&Policy::new(), &[("sec-websocket-protocol", "a b")]), Some(K::SubprotocolInvalid));
    assert_eq!(verdict(&Policy::new(), &[("sec-websocket-extensions", "a;")]), Some(K::ExtensionInvalid));
    // The origin is checked before the offers.
    let foreign = [("origin", "https://evil.com"), ("sec-websocket-protocol", "a b")];
    assert_eq!(verdict(&Policy::new(), &foreign), Some(K::OriginNotAllowed));
}

#[test]
fn no_extension_is_answered_by_default() {
    let server = decide(&Policy::new(), &[("sec-websocket-extensions", "permessage-deflate")]).unwrap();
    assert!(!server.response::<()>().headers().contains_key("sec-websocket-extensions"));
}

#[test]
fn report_only_lets_through_and_notes() {
    let policy = Policy::new().allow_host(AllowHost::list(["example.com"]).unwrap()).report_only(true);
    let rows: &[(&str, Changes, Option<K>)] = &[
        ("nothing to report", &[], None),
        ("a foreign origin", &[("origin", "https://evil.com")], Some(K::OriginNotAllowed)),
        ("a malformed origin", &[("origin", "garbage")], Some(K::OriginInvalid)),
        ("a repeated origin", &[("origin", "https://a.com"), ("origin", "https://a.com")], Some(K::OriginRepeated)),
        ("another host, before its origin", &[("host", "evil.com")], Some(K::HostNotAllowed)),
    ];
    for (name, changes, expected) in rows {
        let server = decide(&policy, changes).unwrap_or_else(|kind| panic!("{name}: {kind:?}"));
        let response = server.response::<()>();
        let reported = response.extensions().get::<ReportedRejection>();
        assert_eq!(reported.map(ReportedRejection::kind), *expected, "{name}");
        assert!(response.extensions().get::<Rejection>().is_none(), "{name}");
    }
    assert_eq!(verdict(&policy, &[("sec-websocket-protocol", "a b")]), Some(K::SubprotocolInvalid));
}

#[test]
fn asynchronous_predicates_are_asked_last() {
    let asked = |answer: bool| {
        AllowOrigin::async_predicate(move |origin, _| async move { answer && origin.host() == Some("asked.com") })
    };
    let poll = |policy: &Policy, origin: &str| {
        let mut deciding = deciding(policy, request(&[("origin", origin)]));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(decision) = Pin::new(&mut deciding).poll(&mut cx) else { panic!("pending") };
        decision.err().map(|rejection| rejection.kind())
    };
    let policy = Policy::new().allow_origin(AllowOrigin::same_origin().or(asked(false)).or(asked(true)));
    assert_eq!(poll(&policy, "https://asked.com"), None);
    assert_eq!(poll(&policy, "https://evil.com"), Some(K::OriginNotAllowed));
    // If a synchronous rule decides, the decision is ready at once.
    assert!(deciding(&policy, request(&[])).now().is_some());
    assert!(deciding(&policy, request(&[("origin", "https://asked.com")])).now().is_none());
    let faulty = request(&[("origin", "https://asked.com"), ("sec-websocket-protocol", "a b")]);
    assert!(deciding(&policy, faulty).now().unwrap().is_err());

    // No answer waits for another.
    let silent = || AllowOrigin::async_predicate(|_, _| std::future::pending());
    for either in [silent().or(asked(true)), asked(false).or(asked(true)).or(silent())] {
        assert_eq!(poll(&Policy::new().allow_origin(either), "https://asked.com"), None);
    }

    let report = policy.report_only(true);
    let mut deciding = deciding(&report, request(&[("origin", "https://evil.com")]));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(server)) = Pin::new(&mut deciding).poll(&mut cx) else { panic!("refused or pending") };
    assert_eq!(server.reported().unwrap().kind(), K::OriginNotAllowed);
}

/// Bytes that any header may hold. Many are close to valid values.
fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')], 0..40),
        prop::sample::select(vec![
            "websocket",
            "Upgrade, x",
            "13",
            "dGhlIHNhbXBsZSBub25jZQ==",
            "example.com",
            "[::1]:80",
            "https://example.com",
            "https://[::1",
            "null",
            "v1.chat, x",
            "a; b=\"c\\",
            "a;b=c,",
            ",",
            ":",
            ".",
            "*.",
            "https://.",
            "0",
            "",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn no_bytes_panic(
        fields in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "origin",
                    "sec-websocket-protocol", "sec-websocket-extensions", "content-length", "sec-fetch-site",
                ]),
                field(),
            ),
            0..6,
        ),
        target in prop::sample::select(vec!["/", "http://example.com/", "https://u@example.com:99999/", "*"]),
        method in prop::sample::select(vec!["GET", "CONNECT", "POST"]),
        version in prop::sample::select(vec![http::Version::HTTP_10, http::Version::HTTP_11, http::Version::HTTP_2, http::Version::HTTP_3]),
    ) {
        let mut request = request(&[]);
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = target.parse().unwrap();
        *request.version_mut() = version;
        for (name, value) in fields {
            request.headers_mut().insert(name, http::HeaderValue::from_bytes(&value).unwrap());
        }
        let (parts, ()) = request.into_parts();
        let policy = Policy::new()
            .allow_origin(AllowOrigin::list(["https://*.example.com:*"]).unwrap())
            .allow_host(AllowHost::list(["*.example.com"]).unwrap())
            .subprotocols(Subprotocols::new(["v1.chat"]).unwrap());
        for read in [ClientHandshake::from_parts(&parts), ClientHandshake::from_extended_connect(&parts, "websocket")] {
            if let Ok(Some(client)) = read {
                for policy in [policy.clone(), Policy::new().report_only(true)] {
                    let decision = policy.decide(&client, &parts).now().unwrap();
                    let status = decision.map_or_else(|rejection| rejection.status(), |server| server.status());
                    prop_assert!(!status.is_server_error());
                }
            }
        }
    }
}
