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
use ws_handshake::ClientErrorKind;

use crate::support::{SOON, accept, accepting, ask, read_head, request};

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
        assert_eq!(error.to_string().ends_with(')'), kind == ClientErrorKind::Refused, "{name}: {error}");
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
    // And no longer than that: the rest of a body need not come.
    let start = Instant::now();
    let (connected, _server) = ask(request(), |_| {
        let mut answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000000\r\n\r\n".to_vec();
        answer.extend(vec![b'x'; 64 << 10]);
        answer
    })
    .await;
    assert_eq!(connected.unwrap_err().response().unwrap().body().len(), 64 << 10);
    assert!(start.elapsed() < SOON / 2, "it waits for the rest");
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
