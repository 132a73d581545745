//! What the client sends, and mistakes in what it is told to send (RFC 6455 §4.1).

use std::error::Error;

use tokio::io::duplex;
use ws_handshake::{ClientErrorKind, WsRequest};

use crate::support::{accept, accepting, ask, field, request};

#[tokio::test]
async fn the_request_is_that_of_the_rfc() {
    let (connected, _server) = ask(request(), |head| {
        assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
        #[rustfmt::skip]
        let rows = [
            ("host", "example.com"), ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
            ("origin", "https://app.example.com"), ("sec-websocket-protocol", "v2.chat, v1.chat"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-other"),
        ];
        for (name, value) in rows {
            assert_eq!(field(head, name), Some(value), "{head}");
        }
        assert!(head.contains("cookie: a=1\r\ncookie: b=2\r\n"), "{head}");
        assert_eq!(field(head, "content-length"), None);
        let key: ws_handshake::handshake::Key = field(head, "sec-websocket-key").unwrap().parse().unwrap();
        assert_eq!(key.accept(), accept(head));
        accepting(head, "X-Mine: yes\r\n")
    })
    .await;
    let (stream, response) = connected.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-mine"]), (101, &"yes".parse().unwrap()));
    assert_eq!((stream.subprotocol(), stream.deflate()), (None, None));
}

#[tokio::test]
async fn there_is_one_origin() {
    let (connected, _server) = ask(request().header("origin", "null"), |head| {
        assert_eq!(head.matches("origin: ").count(), 1, "{head}");
        accepting(head, "")
    })
    .await;
    connected.unwrap();
}

#[tokio::test]
async fn keys_differ_from_handshake_to_handshake() {
    let mut keys = std::collections::HashSet::new();
    for _ in 0..50 {
        let (connected, _) = ask(request(), |head| {
            accepting(head, &format!("X-Key: {}\r\n", field(head, "sec-websocket-key").unwrap()))
        })
        .await;
        assert!(keys.insert(connected.unwrap().1.headers()["x-key"].clone()));
    }
}

#[tokio::test]
async fn the_host_is_that_of_the_url() {
    #[rustfmt::skip]
    let rows = [
        ("ws://example.com", "/", "example.com"),
        ("ws://example.com?room=1", "/?room=1", "example.com"),
        ("ws://example.com:80/a", "/a", "example.com"),
        ("ws://example.com:443/a", "/a", "example.com:443"),
        ("wss://example.com:443/", "/", "example.com"),
        ("wss://example.com:8443/?q=%20", "/?q=%20", "example.com:8443"),
        ("http://[::1]:3000/x#fragment", "/x", "[::1]:3000"),
        ("https://[::1]", "/", "[::1]"),
        ("WSS://Example.com:443/", "/", "Example.com"),
        ("Ws://example.com:80/%C3%BC", "/%C3%BC", "example.com"),
    ];
    for (url, path, host) in rows {
        let (connected, _server) = ask(WsRequest::new(url), move |head| {
            assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
            assert_eq!(field(head, "host"), Some(host));
            accepting(head, "")
        })
        .await;
        connected.unwrap();
    }
    let (connected, _server) = ask(WsRequest::new("ws://127.0.0.1:9001/").header("Host", "app.example.com"), |head| {
        assert_eq!(field(head, "host"), Some("app.example.com"));
        accepting(head, "")
    })
    .await;
    connected.unwrap();
}

#[tokio::test]
async fn mistakes_in_the_request_say_how_to_write_it_right() {
    let new = || WsRequest::new("ws://example.com/");
    #[rustfmt::skip]
    let rows = [
        ("no scheme", WsRequest::new("example.com/chat"), "`example.com/chat` is not the URL"),
        ("a path alone", WsRequest::new("/chat"), "`/chat` is not the URL"),
        ("another scheme", WsRequest::new("ftp://example.com/"), "`ftp://example.com/` is not the URL"),
        ("user information", WsRequest::new("ws://u:HUSH@example.com/a?b"), "`ws://...@example.com/a?...` has user information before the host: remove it"),
        ("a space in the query", WsRequest::new("ws://example.com/a?b=a HUSH"), "`ws://example.com/a?...` is not the URL"),
        ("a path in UTF-8", WsRequest::new("ws://example.com/\u{fc}"), "`ws://example.com/\u{fc}` is not ASCII: write each byte of its UTF-8 as in `%C3%BC`"),
        ("a query in UTF-8", WsRequest::new("ws://example.com/?a=HUSH\u{fc}"), "`ws://example.com/?...` is not ASCII"),
        ("a host in UTF-8", WsRequest::new("ws://b\u{fc}cher.example/"), "a host in punycode, as `xn--...`"),
        ("a password with a number sign", WsRequest::new("ws://user:HUSH#1@example.com/"), "`ws://...` is not the URL"),
        ("a password with a question mark", WsRequest::new("ws://user:HUSH?1@example.com/"), "`ws://...` is not the URL"),
        ("a password with a slash", WsRequest::new("ws://user:HUSH/1@example.com/"), "`ws://...@example.com/` is not the URL"),
        ("a password without a scheme", WsRequest::new("user:HUSH#1@example.com/"), "`...` is not the URL"),
        ("a port too large", WsRequest::new("ws://example.com:99999/?token=HUSH"), "`ws://example.com:99999/?...` is not the URL"),
        ("an origin with a path", new().origin("https://a.com/"), "`https://a.com/` is not an origin: write"),
        ("a subprotocol with a space", new().subprotocols(["a b"]), "`subprotocols` entry 1 is not a subprotocol: write"),
        ("a token that is none", new().subprotocols(["v1", "bearer.HUSH/x="]), "`subprotocols` entry 2 is not a subprotocol"),
        ("a name that no list can have", new().nonstandard_subprotocols(["a/b", "c,d"]), "`subprotocols` entry 2 cannot be in a list"),
        ("a subprotocol twice", new().subprotocols(["a"]).subprotocols(["b", "a"]), "`subprotocols` entry 3 is offered before: name"),
        ("a field of the handshake", new().header("Connection", "close"), "`Connection` is written by the handshake itself"),
        ("another one", new().header("sec-websocket-key", "x"), "`sec-websocket-key` is written by the handshake itself"),
        ("a body", new().header("content-length", "0"), "`content-length` is written by the handshake itself"),
        ("a name with a space", new().header("a b", "c"), "`a b` is not a header name"),
        ("a value with a line feed", new().header("a", "b\nc"), "`a` has a value that no header can have"),
        ("a host with a path", new().header("host", "a.com/b"), "`host` has a value that is not a host: write"),
        ("an extension with a line feed", new().extensions("a\r\nb"), "cannot be in a header: write"),
        ("an extension that is malformed", new().extensions("permessage-deflate;"), "is not a list of extensions: write"),
        ("no extension", new().extensions(""), "is not a list of extensions: write"),
        ("the first of two mistakes", new().origin("a").header("a b", "c"), "`a` is not an origin"),
    ];
    for (name, request, expected) in rows {
        let (client, _server) = duplex(1024);
        let debug = format!("{request:?}");
        let error = request.connect(client).await.unwrap_err();
        assert!(!format!("{debug} {error:?}").contains("HUSH"), "{name}: {debug} {error:?}");
        assert_eq!((error.kind(), error.response().is_none()), (ClientErrorKind::RequestInvalid, true), "{name}");
        let source = error.source().unwrap().to_string();
        assert!(source.contains(expected), "{name}: {source}");
    }
}

#[test]
fn what_is_shown_of_a_request_has_no_secrets() {
    let request = WsRequest::new("wss://example.com/chat?token=secret").header("authorization", "Bearer secret");
    let shown = format!("{request:?}");
    assert!(shown.contains("example.com") && shown.contains("/chat") && !shown.contains("secret"), "{shown}");
}
