//! Handshakes and sockets through the gateway.

use std::process::Command;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::support::{A_WHILE, Gateway, SOON, accepting, field, handshake, status};

#[tokio::test]
async fn what_both_ends_say_goes_through_and_the_gateways_word_on_the_peer_is_its_own() {
    let gateway = Gateway::start(&[]).await;
    let address = &gateway.address;
    let fields = format!(
        "Origin: http://{address}\r\nCookie: session=1\r\nCookie: theme=dark\r\n\
         Sec-WebSocket-Protocol: v2.chat, v1.chat\r\nSec-WebSocket-Protocol: v0.chat\r\n\
         Sec-WebSocket-Extensions: \r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other; a=b\r\n\
         Forwarded: for=forged\r\nX-Forwarded-For: 192.0.2.7\r\nX_Forwarded-For: 192.0.2.8\r\nX-Forwarded_Proto: https\r\n\
         X-Real-IP: 192.0.2.9\r\nx_real_ip: 192.0.2.10\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Host: evil.example\r\n\
         X.Forwarded.For: 192.0.2.11\r\nX-Cluster-Client-IP: 192.0.2.13\r\nX-Forwarded: forged\r\nClient-IP: 192.0.2.12\r\nProxy: evil.example\r\n\
         Connection: X-Named, x-forwarded-for, Host, Origin\r\nX-Named: gone\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
         X-Mine: kept\r\n"
    );
    let (mut client, mut upstream, head) = gateway.ask(&handshake(address, &fields)).await;
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
    let origin = format!("http://{address}");
    #[rustfmt::skip]
    let rows = [
        ("host", Some(&**address)), ("origin", Some(&*origin)), ("cookie", Some("session=1; theme=dark")), ("via", Some("1.1 ws-handshake")), ("x-mine", Some("kept")),
        ("sec-websocket-protocol", Some("v2.chat, v1.chat, v0.chat")),
        ("sec-websocket-extensions", Some("permessage-deflate; client_max_window_bits, x-other; a=b")),
        ("sec-websocket-version", Some("13")), ("connection", Some("Upgrade")), ("upgrade", Some("websocket")),
        ("x-forwarded-for", Some("127.0.0.1")), ("x-real-ip", Some("127.0.0.1")), ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some(address)),
        ("forwarded", None), ("x_forwarded-for", None), ("x-forwarded_proto", None), ("x_real_ip", None),
        ("x.forwarded.for", None), ("x-forwarded", None), ("client-ip", None), ("proxy", None),
        ("x-cluster-client-ip", None), ("x-forwarded-port", None), ("x-named", None), ("keep-alive", None), ("te", None), ("content-length", None),
    ];
    for (name, expected) in rows {
        assert_eq!(field(&head, name).as_deref(), expected, "{name}");
    }
    assert_ne!(field(&head, "sec-websocket-key").as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="), "the client's key");

    let agreed = "Sec-WebSocket-Protocol: v1.chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\
                  Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Named: gone\r\nConnection: x-named\r\n";
    upstream.send(&(accepting(&head, agreed) + "early")).await;
    let answer = client.head().await;
    assert_eq!(status(&answer), 101);
    #[rustfmt::skip]
    let rows = [
        ("sec-websocket-accept", Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")), ("sec-websocket-protocol", Some("v1.chat")),
        ("sec-websocket-extensions", Some("permessage-deflate; server_max_window_bits=10")),
        ("set-cookie", Some("a=1 | b=2")), ("x-named", None),
    ];
    for (name, expected) in rows {
        assert_eq!(field(&answer, name).as_deref(), expected, "{name}");
    }
    assert_eq!(client.exactly(5).await, "early");
    client.send("from the client").await;
    assert_eq!(upstream.exactly(15).await, "from the client");
    let much = "x".repeat(1 << 20);
    let ((), echoed) = tokio::join!(upstream.send(&much), client.exactly(much.len()));
    assert!(echoed == much);
}

/// As in kubectl's port-forward.
#[tokio::test]
async fn a_subprotocol_that_is_no_token_goes_through_where_it_is_listed() {
    const NAME: &str = "SPDY/3.1+portforward.k8s.io";
    let offer = format!("Sec-WebSocket-Protocol: {NAME}\r\n");
    let gateway = Gateway::start(&["--subprotocol", NAME, "--subprotocol", "v1.chat"]).await;
    for (selected, answered) in [(offer.as_str(), Some(NAME)), ("", None)] {
        let (mut client, mut upstream, head) = gateway.ask(&handshake(&gateway.address, &offer)).await;
        assert_eq!(field(&head, "sec-websocket-protocol").as_deref(), Some(NAME), "{head}");
        upstream.send(&accepting(&head, selected)).await;
        let answer = client.head().await;
        assert_eq!((status(&answer), field(&answer, "sec-websocket-protocol").as_deref()), (101, answered), "{answer}");
    }
    // The gateway does not ask the upstream for unlisted subprotocols.
    let offers = format!("Sec-WebSocket-Protocol: v2.chat, {NAME}, v1.chat\r\n");
    let (_client, _upstream, head) = gateway.ask(&handshake(&gateway.address, &offers)).await;
    assert_eq!(field(&head, "sec-websocket-protocol"), Some(format!("{NAME}, v1.chat")), "{head}");
    let other = Gateway::start(&[]).await;
    assert_eq!(status(&other.refused(&handshake(&other.address, &offer)).await), 400);
}

#[tokio::test]
async fn what_the_layer_refuses_never_reaches_the_upstream() {
    let hosts = ["--allow-host", "app.example.com", "--allow-origin", "https://listed.example"];
    let gateway = Gateway::start(&hosts).await;
    let own = |fields: &str| handshake("app.example.com", fields);
    #[rustfmt::skip]
    let rows = [
        ("a foreign origin", own("Origin: https://evil.example\r\n"), 403),
        ("a foreign host", handshake("evil.example", ""), 403),
        ("a handshake that breaks a rule", own("").replace("Version: 13", "Version: 12"), 426),
        ("a disguised handshake", own("").replace("Upgrade: websocket", "Upgrade: x"), 400),
        ("CONNECT that bears its fields", own("").replace("GET /chat?room=1", "CONNECT app.example.com:80"), 405),
    ];
    for (name, request, expected) in rows {
        assert_eq!(status(&gateway.refused(&request).await), expected, "{name}");
    }
    for origin in ["http://app.example.com", "https://listed.example"] {
        let (mut client, mut upstream, head) = gateway.ask(&own(&format!("Origin: {origin}\r\n"))).await;
        upstream.send(&accepting(&head, "")).await;
        assert_eq!(status(&client.head().await), 101, "{origin}");
    }
}

type Lie = fn(&str) -> String;

#[tokio::test]
async fn an_upstream_that_refuses_is_heard_and_one_that_lies_is_502() {
    let gateway = Gateway::start(&[]).await;
    let offers = "Sec-WebSocket-Protocol: v1.chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let ask = async || gateway.ask(&handshake(&gateway.address, offers)).await;

    let (mut client, mut upstream, _) = ask().await;
    let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 12\r\n\r\nwho are you?";
    upstream.send(refusal).await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert_eq!((status(&answer), field(&answer, "www-authenticate").as_deref()), (401, Some("Bearer")));
    assert_eq!(field(&answer, "connection").as_deref(), Some("close"));
    assert!(answer.ends_with("\r\n\r\nwho are you?"), "{answer}");

    let (mut client, mut upstream, _) = ask().await;
    upstream
        .send("HTTP/1.1 302 Found\r\nLocation: /login\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        .await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert_eq!((status(&answer), field(&answer, "location").as_deref()), (302, Some("/login")));
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");

    #[rustfmt::skip]
    let rows: [(&str, Lie); 8] = [
        ("200 instead of 101", |_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".into()),
        ("204 instead of 101", |_| "HTTP/1.1 204 No Content\r\n\r\n".into()),
        ("another accept", |head| accepting(head, "").replace("Accept: ", "Accept: x")),
        ("no upgrade", |head| accepting(head, "").replace("Upgrade: websocket\r\n", "")),
        ("a subprotocol that nobody offered", |head| accepting(head, "Sec-WebSocket-Protocol: v9.chat\r\n")),
        ("an extension that nobody offered", |head| accepting(head, "Sec-WebSocket-Extensions: x-other\r\n")),
        ("deflate beyond the offer", |head| accepting(head, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n")),
        ("no HTTP", |_| "SSH-2.0-OpenSSH_9.2\r\n".into()),
    ];
    for (name, answer) in rows {
        let (mut client, mut upstream, head) = ask().await;
        upstream.send(&answer(&head)).await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(status(&answer), 502, "{name}: {answer}");
    }

    // An upstream that disconnects.
    let (mut client, upstream, _) = ask().await;
    drop(upstream);
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);

    // The gateway turns a refusal over HTTP/1.0 into one over HTTP/1.1. Part of a body must not look like a whole one.
    let (mut client, mut upstream, _) = ask().await;
    upstream.send("HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnothing here").await;
    drop(upstream);
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\nnothing here"), "{answer}");
    let (mut client, mut upstream, _) = ask().await;
    upstream.send("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nnot").await;
    drop(upstream);
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert_eq!((status(&answer), field(&answer, "content-type")), (403, None));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_is_dead_is_502_and_one_that_is_slow_504() {
    let gateway = Gateway::start(&["--upstream-timeout", "0.3"]).await;
    let request = handshake(&gateway.address, "");
    let (mut client, _upstream, _) = gateway.ask(&request).await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 504);
    let Gateway { process: _process, upstream, address, .. } = gateway;
    drop(upstream);
    let mut client = crate::support::Peer(tokio::net::TcpStream::connect(&address).await.unwrap());
    client.send(&request).await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_not_waited_for() {
    let gateway = Gateway::start(&[]).await;
    let (client, mut upstream, _) = gateway.ask(&handshake(&gateway.address, "")).await;
    drop(client);
    assert_eq!(upstream.rest().await, b"");
}

#[tokio::test]
async fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let gateway = Gateway::start(&[]).await;
    for client_first in [true, false] {
        let (client, upstream) = gateway.open().await;
        let (mut first, mut second) = if client_first { (client, upstream) } else { (upstream, client) };
        first.send("last").await;
        first.0.shutdown().await.unwrap();
        assert_eq!(second.rest().await, b"last", "client_first={client_first}");
        second.send("not yet").await;
        assert_eq!(first.exactly(7).await, "not yet");
        second.0.shutdown().await.unwrap();
        assert_eq!(first.rest().await, b"");
    }
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    let gateway = Gateway::start(&[]).await;
    for client_first in [true, false] {
        let (client, upstream) = gateway.open().await;
        let (mut first, mut second) = if client_first { (client, upstream) } else { (upstream, client) };
        first.send("cut").await;
        assert_eq!(second.exactly(3).await, "cut");
        first.0.set_zero_linger().unwrap();
        drop(first);
        let read = timeout(SOON, second.0.read(&mut [0])).await.expect("the connection stays open");
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "client_first={client_first}");
    }
}

#[tokio::test]
async fn limits_hold_for_each_peer_and_for_all() {
    for (arguments, refused) in [(["--limit-per-peer", "1"], 429), (["--limit", "1"], 503)] {
        let gateway = Gateway::start(&arguments).await;
        let (client, upstream) = gateway.open().await;
        let answer = gateway.refused(&handshake(&gateway.address, "")).await;
        assert_eq!((status(&answer), field(&answer, "retry-after").is_some()), (refused, true));
        drop((client, upstream));
        tokio::time::sleep(5 * A_WHILE).await;
        gateway.open().await;
    }
    let gateway = Gateway::start(&["--behind-proxy", "--limit-per-peer", "1", "--proto", "https"]).await;
    let from = |address: &str| handshake(&gateway.address, &format!("X-Forwarded-For: 192.0.2.99, {address}\r\n"));
    let mut open = Vec::new();
    for address in ["192.0.2.1", "192.0.2.2"] {
        let (mut client, mut upstream, head) = gateway.ask(&from(address)).await;
        assert_eq!(field(&head, "x-forwarded-for").as_deref(), Some(address));
        assert_eq!(field(&head, "x-forwarded-proto").as_deref(), Some("https"));
        upstream.send(&accepting(&head, "")).await;
        assert_eq!(status(&client.head().await), 101);
        open.push((client, upstream));
    }
    assert_eq!(status(&gateway.refused(&from("192.0.2.1")).await), 429);
    assert_eq!(status(&gateway.refused(&handshake(&gateway.address, "")).await), 400);
}

#[tokio::test]
async fn a_drain_ends_the_sockets_and_the_process() {
    let mut gateway = Gateway::start(&["--drain-over", "1"]).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(gateway.open().await);
    }
    let process = gateway.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let start = Instant::now();
    let ended = sockets.into_iter().map(async |(mut client, mut upstream)| {
        assert_eq!((client.rest().await, upstream.rest().await), (Vec::new(), Vec::new()));
        start.elapsed().as_millis()
    });
    let mut ended = futures_util::future::join_all(ended).await;
    ended.sort_unstable();
    // Evenly: at 0, 0.2, 0.4, 0.6 and 0.8 s, and later if the machine is busy.
    for (turn, ended) in (0_u128..).zip(ended) {
        assert!((200 * turn..200 * turn + 1000).contains(&(ended + 10)), "number {turn} ended after {ended} ms");
    }
    let status = timeout(SOON, gateway.process.wait()).await.expect("it does not end").unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let gateway = Gateway::start(&[]).await;
    let (mut client, mut upstream) = gateway.open().await;
    client.send("hello").await;
    assert_eq!(upstream.exactly(5).await, "hello");
    gateway.refused(&handshake(&gateway.address, "Origin: https://evil.example\r\n")).await;
    let mut scrape = crate::support::Peer(tokio::net::TcpStream::connect(&gateway.metrics).await.unwrap());
    scrape.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let text = String::from_utf8(scrape.rest().await).unwrap();
    for expected in [
        "websocket_server_active_connections 1\n",
        "websocket_server_io_bytes_total{network_io_direction=\"receive\"} 5\n",
        "error_type=\"OriginNotAllowed\"",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_socket_that_is_idle_for_too_long_is_reset() {
    let gateway = Gateway::start(&["--idle-timeout", "1.5"]).await;
    for half_closed in [false, true] {
        let (mut client, mut upstream) = gateway.open().await;
        let start = Instant::now();
        // Any byte restarts the idle timeout.
        for _ in 0..3 {
            tokio::time::sleep(A_WHILE).await;
            upstream.send("x").await;
            assert_eq!(client.exactly(1).await, "x");
        }
        if half_closed {
            client.0.shutdown().await.unwrap();
            assert_eq!(upstream.rest().await, b"");
        }
        let read = timeout(SOON, client.0.read(&mut [0])).await.expect("the socket stays open");
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert!(start.elapsed().as_millis() >= 2000, "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn mistakes_on_the_command_line_are_told_by_name() {
    let fails = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gateway")).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let upstream = ["--upstream", "ws://127.0.0.1:9001"];
    #[rustfmt::skip]
    let rows: [(&[&str], &str); 12] = [
        (&["--upstream", "ws://127.0.0.1:99999"], "write a port from 1 to 65535"),
        (&["--upstream", "WSS://127.0.0.1:9001"], "there is no TLS to the upstream"),
        (&[upstream[0], "WS://127.0.0.1:9001", "--subprotocol", "a,b"], "--subprotocol"),
        (&[upstream[0], "WS://127.0.0.1:9001", "--drop-header", "a b"], "write the name of a header"),
        (&[upstream[0], upstream[1], "--drop-header", "Sec-WebSocket-Protocol"], "the gateway writes this header itself"),
        (&["--upstream", "ws://127.0.0.1:9001/path"], "write it as `ws://host:port`"),
        (&["--upstream", "127.0.0.1:9001"], "write it as `ws://host:port`"),
        (&["--upstream", "ws://127.0.0.1:9001", "--listen", "127.0.0.1:9001"], "--upstream is what --listen says"),
        (&[upstream[0], upstream[1], "--allow-origin", "https://a.com/"], "write `https://a.com`"),
        (&[upstream[0], upstream[1], "--allow-host", "a.com/b"], "--allow-host"),
        (&[upstream[0], upstream[1], "--limit", "0"], "--limit"),
        (&[upstream[0], upstream[1], "--listen", &taken], "Address already in use"),
    ];
    for (arguments, expected) in rows {
        let said = fails(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let gateway = Gateway::start(&[]).await;
    let said = fails(&[upstream[0], upstream[1], "--listen", &gateway.address]);
    assert!(said.contains("Address already in use"), "a second gateway on the same port: {said}");
}
