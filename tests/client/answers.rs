//! What a server answers, and what the client makes of it (RFC 6455 §4.1).

use std::{
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex},
    task::coop::poll_proceed,
    time::{Instant, timeout},
};
use ws_handshake::{ClientErrorKind, WsRequest};

use crate::support::{SOON, accept, accepting, ask, field, read_head, request};

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
        ("no scheme", WsRequest::new("example.com/chat"), "`example.com/chat` is no URL"),
        ("a path alone", WsRequest::new("/chat"), "`/chat` is no URL"),
        ("another scheme", WsRequest::new("ftp://example.com/"), "`ftp://example.com/` is no URL"),
        ("user information", WsRequest::new("ws://u:HUSH@example.com/a?b"), "`ws://...@example.com/a?...` names a user before its host: leave that out"),
        ("a space in the query", WsRequest::new("ws://example.com/a?b=a HUSH"), "`ws://example.com/a?...` is no URL"),
        ("a port too large", WsRequest::new("ws://example.com:99999/?token=HUSH"), "`ws://example.com:99999/?...` is no URL"),
        ("an origin with a path", new().origin("https://a.com/"), "`https://a.com/` is no origin: write"),
        ("a subprotocol with a space", new().subprotocols(["a b"]), "`subprotocols` has as number 1 what is no subprotocol: write"),
        ("a token that is none", new().subprotocols(["v1", "bearer.HUSH/x="]), "`subprotocols` has as number 2 what is no subprotocol"),
        ("a subprotocol twice", new().subprotocols(["a"]).subprotocols(["b", "a"]), "`subprotocols` has as number 3 one that is offered before: name"),
        ("a field of the handshake", new().header("Connection", "close"), "`Connection` is the handshake's own"),
        ("another one", new().header("sec-websocket-key", "x"), "`sec-websocket-key` is the handshake's own"),
        ("a body", new().header("content-length", "0"), "`content-length` is the handshake's own"),
        ("a name with a space", new().header("a b", "c"), "`a b` is no name of a field"),
        ("a value with a line feed", new().header("a", "b\nc"), "`a` has a value that no field can have"),
        ("a host with a path", new().header("host", "a.com/b"), "`host` has a value that is no host: write"),
        ("an extension with a line feed", new().extensions("a\r\nb"), "can be in no field: write"),
        ("an extension that is malformed", new().extensions("permessage-deflate;"), "is no list of extensions: write"),
        ("no extension", new().extensions(""), "is no list of extensions: write"),
        ("the first of two mistakes", new().origin("a").header("a b", "c"), "`a` is no origin"),
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

#[tokio::test]
async fn what_is_agreed_on_is_known_to_the_stream() {
    let fields = "Sec-WebSocket-Protocol: v1.chat\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n";
    let (connected, _server) = ask(request(), |head| accepting(head, fields)).await;
    let (stream, _) = connected.unwrap();
    assert_eq!(stream.subprotocol(), Some("v1.chat"));
    assert_eq!(stream.deflate().unwrap().client_max_window_bits(), 10);
}

#[tokio::test]
async fn every_lie_of_the_list_fails_the_connection() {
    type Lie = fn(&str) -> Vec<u8>;
    fn replaced(head: &str, what: &str, by: &str) -> Vec<u8> {
        let answer = String::from_utf8(accepting(head, "")).unwrap();
        assert!(answer.contains(what), "{answer}");
        answer.replace(what, by).into_bytes()
    }
    #[rustfmt::skip]
    let rows: [(&str, Lie, ClientErrorKind); 15] = [
        ("101 over HTTP/1.0", |head| replaced(head, "HTTP/1.1 101", "HTTP/1.0 101"), ClientErrorKind::Refused),
        ("200", |head| replaced(head, "101 Switching Protocols", "200 OK\r\nContent-Length: 0"), ClientErrorKind::Refused),
        ("no Upgrade", |head| replaced(head, "Upgrade: websocket\r\n", ""), ClientErrorKind::UpgradeInvalid),
        ("another Upgrade", |head| replaced(head, "Upgrade: websocket", "Upgrade: h2c"), ClientErrorKind::UpgradeInvalid),
        ("no Connection", |head| replaced(head, "Connection: Upgrade\r\n", ""), ClientErrorKind::ConnectionInvalid),
        ("another Connection", |head| replaced(head, "Connection: Upgrade", "Connection: keep-alive"), ClientErrorKind::ConnectionInvalid),
        ("no accept", |head| replaced(head, "Sec-WebSocket-Accept", "X-Accept"), ClientErrorKind::AcceptInvalid),
        ("the accept of another key", |head| replaced(head, &accept(head), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), ClientErrorKind::AcceptInvalid),
        ("an accept in another case", |head| replaced(head, &accept(head), &accept(head).to_lowercase()), ClientErrorKind::AcceptInvalid),
        ("a subprotocol not offered", |head| accepting(head, "Sec-WebSocket-Protocol: v3.chat\r\n"), ClientErrorKind::SubprotocolNotOffered),
        ("two subprotocols", |head| accepting(head, "Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n"), ClientErrorKind::SubprotocolNotOffered),
        ("two subprotocols on two lines", |head| accepting(head, "Sec-WebSocket-Protocol: v1.chat\r\nSec-WebSocket-Protocol: v2.chat\r\n"), ClientErrorKind::SubprotocolNotOffered),
        ("an extension not offered", |head| accepting(head, "Sec-WebSocket-Extensions: x-unknown\r\n"), ClientErrorKind::ExtensionNotOffered),
        ("deflate beyond the offer", |head| accepting(head, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"), ClientErrorKind::ExtensionNotOffered),
        ("an extension that is malformed", |head| accepting(head, "Sec-WebSocket-Extensions: permessage-deflate;\r\n"), ClientErrorKind::ExtensionNotOffered),
    ];
    for (name, answer, kind) in rows {
        let (connected, mut server) = ask(request(), answer).await;
        let error = connected.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
        assert!(error.response().is_some(), "{name}");
        // RFC 6455 §4.1: the connection is failed, and nothing was sent on it.
        let mut rest = Vec::new();
        timeout(SOON, server.read_to_end(&mut rest)).await.expect("the connection stays open").unwrap();
        assert_eq!(rest, b"", "{name}");
    }
}

#[tokio::test]
async fn a_refusal_can_be_read() {
    let (connected, _server) = ask(request(), |_| {
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 13\r\n\r\nwho are you?\n".to_vec()
    })
    .await;
    let error = connected.unwrap_err();
    assert_eq!(error.to_string(), "the server refused the handshake (401 Unauthorized)");
    let response = error.into_response().unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    assert_eq!(response.body(), &"who are you?\n");

    // Behind a 103, chunked, and a redirect.
    let (connected, _server) = ask(request(), |_| {
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
            .to_vec()
    })
    .await;
    let response = connected.unwrap_err().into_response().unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (307, &"/other".parse().unwrap()));
    assert_eq!(response.body(), &"abcdef");
}

#[tokio::test]
async fn a_refusal_is_read_up_to_64_kib() {
    let (connected, _server) = ask(request(), |_| {
        let mut answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000000\r\n\r\n".to_vec();
        answer.extend(vec![b'x'; 100_000]);
        answer
    })
    .await;
    assert_eq!(connected.unwrap_err().response().unwrap().body().len(), 64 << 10);
}

#[tokio::test]
async fn a_server_that_never_ends_its_1xx_is_waited_for_no_longer_than_the_timeout() {
    let connecting = request().timeout(Duration::from_millis(100)).connect(Hints { asked: false, reader: None });
    let error = timeout(SOON, connecting).await.expect("the timeout never fires").unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::TimedOut);
}

/// Whatever it is asked, it has another hint to give, as often as the task is let read.
struct Hints {
    asked: bool,
    reader: Option<Waker>,
}

impl AsyncRead for Hints {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ready!(poll_proceed(cx)).made_progress();
        buffer.put_slice(b"HTTP/1.1 103 Early Hints\r\n\r\n");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hints {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_does_not_end_gives_what_came_in_time() {
    let start = Instant::now();
    let (connected, _server) = ask(request().timeout(Duration::from_secs(3)), |_| {
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot".to_vec()
    })
    .await;
    assert_eq!(connected.unwrap_err().response().unwrap().body(), &"not");
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_timeout() {
    for (request, seconds) in
        [(request(), 10), (request().timeout(Duration::from_secs(2)), 2), (request().timeout(Duration::MAX), 24 * 3600)]
    {
        let start = Instant::now();
        let (connected, _server) = ask(request, |_| Vec::new()).await;
        assert_eq!(connected.unwrap_err().kind(), ClientErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn a_connection_that_fails_says_so() {
    for answer in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 101"] {
        let (client, mut server) = duplex(1 << 16);
        let serving = tokio::spawn(async move {
            read_head(&mut server).await;
            server.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = timeout(SOON, request().connect(client)).await.expect(answer).unwrap_err();
        serving.await.unwrap();
        assert_eq!((error.kind(), error.response().is_none()), (ClientErrorKind::ConnectionFailed, true), "{answer}");
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn dropping_the_handshake_closes_the_connection() {
    let (client, mut server) = duplex(1 << 16);
    let mut asking = Box::pin(request().connect(client));
    tokio::select! {
        _ = &mut asking => panic!("it has no answer"),
        _ = read_head(&mut server) => {}
    }
    drop(asking);
    let mut rest = Vec::new();
    timeout(SOON, server.read_to_end(&mut rest)).await.expect("the connection stays open").unwrap();
}

#[tokio::test]
async fn bytes_behind_the_answer_come_first() {
    let (connected, mut server) = ask(request(), |head| [&accepting(head, "")[..], b"early"].concat()).await;
    let (mut stream, _) = connected.unwrap();
    server.write_all(b" and late").await.unwrap();
    let mut bytes = [0; 14];
    timeout(SOON, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes, b"early and late");
    stream.write_all(b"back").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    timeout(SOON, server.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, b"back");
    // Half of it is still open.
    server.write_all(b"more").await.unwrap();
    drop(server);
    let mut more = Vec::new();
    timeout(SOON, stream.read_to_end(&mut more)).await.unwrap().unwrap();
    assert_eq!(more, b"more");
}

#[test]
fn what_is_shown_of_a_request_has_no_secrets() {
    let request = WsRequest::new("wss://example.com/chat?token=secret").header("authorization", "Bearer secret");
    let shown = format!("{request:?}");
    assert!(shown.contains("example.com") && shown.contains("/chat") && !shown.contains("secret"), "{shown}");
}
