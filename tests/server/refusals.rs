//! What the layer refuses: status, headers and body of each refusal, over both versions of HTTP.

use std::time::Duration;

use axum::{Router, response::IntoResponse, routing::any};
use http::StatusCode;
use ws_handshake::{
    AllowHost, AllowOrigin, Rejection, RejectionKind as K, ReportedRejection, Subprotocols, WsHandshakeLayer,
};

use crate::support::{Handshake, Over, echo, serve};

/// An application that also says, in a field, which [`Rejection`] the layer left in its response.
pub(crate) fn app(layer: WsHandshakeLayer) -> Router {
    // A plain CONNECT has no path.
    let app = Router::new().route("/ws", any(echo)).fallback(any(echo)).layer(layer);
    app.layer(axum::middleware::map_response(async |mut response: axum::response::Response| {
        let kind = response.extensions().get::<Rejection>().map(|rejection| format!("{:?}", rejection.kind()));
        if let Some(kind) = kind {
            response.headers_mut().insert("x-kind", kind.parse().unwrap());
        }
        let reported =
            response.extensions().get::<ReportedRejection>().map(|reported| format!("{:?}", reported.kind()));
        if let Some(kind) = reported {
            response.headers_mut().insert("x-reported", kind.parse().unwrap());
        }
        response
    }))
}

type Row = (&'static str, Handshake, K, u16, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
fn rows_over_both() -> Vec<Row> {
    let valid = Handshake::valid;
    let many = (0..33).map(|n| format!("p{n}")).collect::<Vec<_>>().join(", ");
    vec![
        ("malformed host", valid().set("host", "example.com:99999"), K::AuthorityInvalid, 400, &[]),
        ("two authorities", valid().line("GET http://evil.com/ws HTTP/1.1"), K::AuthorityMismatched, 400, &[]),
        ("no version", valid().without("sec-websocket-version"), K::VersionMissing, 400, &[("sec-websocket-version", "13")]),
        ("two versions", valid().add("sec-websocket-version", "13"), K::VersionRepeated, 400, &[("sec-websocket-version", "13")]),
        ("version 8", valid().set("sec-websocket-version", "8"), K::VersionUnsupported, 426,
            &[("sec-websocket-version", "13"), ("upgrade", "websocket"), ("connection", "upgrade, close")]),
        ("host not allowed", valid().set("host", "evil.com").set("origin", "https://evil.com"), K::HostNotAllowed, 403, &[]),
        ("two origins", valid().add("origin", "https://example.com"), K::OriginRepeated, 400, &[]),
        ("origin with a path", valid().set("origin", "https://example.com/"), K::OriginInvalid, 400, &[]),
        ("another site without origin", valid().without("origin").add("sec-fetch-site", "cross-site"), K::SiteNotAllowed, 403, &[]),
        ("foreign origin", valid().set("origin", "https://evil.com"), K::OriginNotAllowed, 403, &[]),
        ("subprotocol no token", valid().add("sec-websocket-protocol", "a b"), K::SubprotocolInvalid, 400, &[]),
        ("subprotocol twice", valid().add("sec-websocket-protocol", "chat, chat"), K::SubprotocolRepeated, 400, &[]),
        ("too many subprotocols", valid().add("sec-websocket-protocol", &many), K::SubprotocolsTooMany, 400, &[]),
        ("malformed extension", valid().add("sec-websocket-extensions", "a;"), K::ExtensionInvalid, 400, &[]),
        ("too many extensions", valid().add("sec-websocket-extensions", &many), K::ExtensionsTooMany, 400, &[]),
        ("no subprotocol in common", valid().add("sec-websocket-protocol", "x-mine"), K::SubprotocolNotShared, 400, &[]),
    ]
}

#[rustfmt::skip]
fn rows_over_http1() -> Vec<Row> {
    let valid = Handshake::valid;
    vec![
        ("disguised", valid().set("upgrade", "x"), K::UpgradeInvalid, 400, &[]),
        ("HTTP/1.0", valid().line("GET /ws HTTP/1.0"), K::HttpVersionUnsupported, 400, &[]),
        ("method", valid().line("POST /ws HTTP/1.1").add("content-length", "0"), K::MethodInvalid, 405, &[("allow", "GET")]),
        ("no host", valid().without("host"), K::AuthorityMissing, 400, &[]),
        ("two hosts", valid().add("host", "example.com"), K::AuthorityRepeated, 400, &[]),
        ("empty host", valid().set("host", ""), K::AuthorityInvalid, 400, &[]),
        ("body by length", valid().add("content-length", "5"), K::BodyAnnounced, 400, &[]),
        ("body by coding", valid().add("transfer-encoding", "chunked"), K::BodyAnnounced, 400, &[]),
        ("connection", valid().set("connection", "no-upgrade-please"), K::ConnectionInvalid, 400, &[]),
        ("no key", valid().without("sec-websocket-key"), K::KeyMissing, 400, &[]),
        ("two keys", valid().add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), K::KeyRepeated, 400, &[]),
        ("short key", valid().set("sec-websocket-key", "c2hvcnQ="), K::KeyInvalid, 400, &[]),
    ]
}

/// Over HTTP/2 the first `Host` is the authority, and the others are fields.
#[rustfmt::skip]
fn rows_over_http2() -> Vec<Row> {
    let valid = Handshake::valid;
    vec![
        ("a plain CONNECT", valid().protocol(None), K::UpgradeInvalid, 400, &[]),
        ("another protocol", valid().protocol(Some("connect-udp")), K::UpgradeInvalid, 400, &[]),
        ("a protocol like it", valid().protocol(Some("websocket/13")), K::UpgradeInvalid, 400, &[]),
        ("a length", valid().add("content-length", "0"), K::BodyAnnounced, 400, &[]),
        ("another host", valid().add("host", "evil.com"), K::AuthorityMismatched, 400, &[]),
        ("another port", valid().add("host", "example.com:8443"), K::AuthorityMismatched, 400, &[]),
        ("a malformed host beside", valid().add("host", "example.com:x"), K::AuthorityInvalid, 400, &[]),
        ("two hosts beside", valid().add("host", "example.com").add("host", "example.com"), K::AuthorityRepeated, 400, &[]),
    ]
}

fn rows(over: Over) -> Vec<Row> {
    [rows_over_both(), over.pick(rows_over_http1(), rows_over_http2())].concat()
}

pub(crate) fn strict() -> WsHandshakeLayer {
    WsHandshakeLayer::new()
        .allow_host(AllowHost::list(["example.com"]).unwrap())
        .subprotocols(Subprotocols::new(["chat"]).unwrap().required(true))
}

#[tokio::test]
async fn each_fault_is_refused_with_its_status_and_headers() {
    let address = serve(app(strict())).await;
    for over in Over::ALL {
        for (name, handshake, kind, status, fields) in rows(*over) {
            let name = format!("{name}, {over:?}");
            let (mut client, head) = over.handshake(address, &handshake).await;
            // There is no `Upgrade` over HTTP/2, and so no 426.
            let status = if status == 426 { over.pick(426, 400) } else { status };
            assert_eq!((head.status, head.get("x-kind")), (status, Some(format!("{kind:?}").as_str())), "{name}");
            for (field, value) in fields {
                let expected = if ["upgrade", "connection"].contains(field) {
                    over.pick(Some(*value), None)
                } else {
                    Some(*value)
                };
                assert_eq!(head.get(field), expected, "{name}: {field}");
            }
            if kind != K::VersionUnsupported {
                assert_eq!((head.get("connection"), head.get("upgrade")), (over.closing(), None), "{name}");
            }
            assert_eq!(head.get("cache-control"), Some("no-store"), "{name}");
            assert_eq!(head.get("content-type"), Some("text/plain; charset=utf-8"), "{name}");
            assert_eq!(head.get("x-content-type-options"), Some("nosniff"), "{name}");
            // The connection ends behind the body, and the body says nothing that the peer sent.
            let body = String::from_utf8(client.rest().await).unwrap();
            assert_eq!(body.len().to_string(), head.get("content-length").unwrap(), "{name}");
            assert!(!body.is_empty() && !body.contains("evil") && !body.contains("x-mine"), "{name}: {body}");
        }
        let offer = Handshake::valid().add("sec-websocket-protocol", "other, chat");
        let (_client, head) = over.handshake(address, &offer).await;
        head.accepts(*over, "an offer");
        assert_eq!(head.get("sec-websocket-protocol"), Some("chat"));
    }
}

#[tokio::test]
async fn a_missing_origin_is_refused_where_one_is_required() {
    let address = serve(app(WsHandshakeLayer::new().require_origin(true))).await;
    for over in Over::ALL {
        let (_, head) = over.handshake(address, &Handshake::valid().without("origin")).await;
        assert_eq!((head.status, head.get("x-kind")), (403, Some("OriginMissing")));
        let (_, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "with an origin");
    }
}

#[tokio::test]
async fn a_slow_predicate_ends_at_the_timeout_and_keeps_nobody_waiting() {
    let slow = AllowOrigin::async_predicate(|origin, _| async move {
        match origin.host() {
            Some("slow.com") => std::future::pending().await,
            // As one is that reads an endless answer.
            Some("busy.com") => loop {
                tokio::task::consume_budget().await;
            },
            _ => {}
        }
        tokio::task::yield_now().await;
        origin.host() == Some("asked.com")
    });
    let layer = WsHandshakeLayer::new().allow_origin(slow).decision_timeout(Duration::from_millis(300));
    let address = serve(app(layer)).await;
    for over in Over::ALL {
        for waits in ["https://slow.com", "https://busy.com"] {
            let mut waiting = over.ask(address, &Handshake::valid().set("origin", waits), b"").await;
            for (origin, status) in [("https://asked.com", over.accepted()), ("https://evil.com", 403)] {
                let (_, head) = over.handshake(address, &Handshake::valid().set("origin", origin)).await;
                assert_eq!(head.status, status, "{origin}");
            }
            let head = waiting.head().await;
            assert_eq!((head.status, head.get("x-kind")), (503, Some("DecisionTimedOut")), "{waits}");
            assert_eq!((head.get("retry-after"), head.get("connection")), (Some("5"), over.closing()));
        }
    }
}

#[tokio::test]
async fn a_rejection_response_decides_all_but_what_is_owed() {
    let layer = WsHandshakeLayer::new().rejection_response(|rejection: &Rejection| {
        let status = match rejection.kind() {
            K::OriginInvalid => StatusCode::OK,
            K::OriginRepeated => StatusCode::from_u16(399).unwrap(),
            K::SiteNotAllowed => StatusCode::BAD_REQUEST,
            _ => StatusCode::IM_A_TEAPOT,
        };
        (status, [("connection", "keep-alive"), ("x-mine", "yes")], "mine").into_response()
    });
    let address = serve(Router::new().route("/ws", any(echo)).layer(layer)).await;
    let rows = [
        ("its own status", Handshake::valid().set("origin", "https://evil.com"), 418, "close"),
        ("no success", Handshake::valid().set("origin", "garbage"), 400, "close"),
        ("no redirection", Handshake::valid().add("origin", "https://example.com"), 400, "close"),
        (
            "the lowest status of an error",
            Handshake::valid().without("origin").add("sec-fetch-site", "cross-site"),
            400,
            "close",
        ),
        ("fields owed", Handshake::valid().set("sec-websocket-version", "8"), 418, "upgrade, close"),
    ];
    for over in Over::ALL {
        for (name, handshake, status, connection) in &rows {
            let (mut client, head) = over.handshake(address, handshake).await;
            assert_eq!((head.status, head.get("x-mine")), (*status, Some("yes")), "{name}");
            let connection = over.pick(Some(*connection), None);
            assert_eq!((head.get("connection"), head.get("cache-control")), (connection, Some("no-store")), "{name}");
            assert_eq!(client.rest().await, b"mine", "{name}");
        }
    }
}

#[tokio::test]
async fn report_only_lets_through_and_says_so() {
    let slow = AllowOrigin::async_predicate(|origin, _| async move {
        if origin.host() == Some("slow.com") {
            std::future::pending::<()>().await;
        }
        false
    });
    let layer = WsHandshakeLayer::new().allow_origin(AllowOrigin::same_origin().or(slow));
    let address = serve(app(layer.decision_timeout(Duration::from_millis(100)).report_only(true))).await;
    let rows = [
        ("https://example.com", None),
        ("https://evil.com", Some("OriginNotAllowed")),
        ("https://slow.com", Some("DecisionTimedOut")),
        ("garbage", Some("OriginInvalid")),
    ];
    for over in Over::ALL {
        for (origin, reported) in rows {
            let (_, head) = over.handshake(address, &Handshake::valid().set("origin", origin)).await;
            head.accepts(*over, origin);
            assert_eq!((head.get("x-reported"), head.get("x-kind")), (reported, None), "{origin}");
        }
    }
}
