//! Plain HTTP through the gateway, and what a proxy must not do.

use tokio::net::TcpListener;

use crate::support::{A_WHILE, Gateway, field, status};

#[tokio::test]
async fn requests_and_responses_go_through_without_what_is_for_one_connection() {
    let gateway = Gateway::start(&[]).await;
    let address = &gateway.address;
    let request = format!(
        "POST /items?x=1 HTTP/1.1\r\nHost: {address}\r\nContent-Length: 5\r\nX-Mine: kept\r\nConnection: x-named\r\n\
         X-Named: gone\r\nX-Forwarded-For: forged\r\nForwarded: for=forged\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
         Proxy-Authorization: Basic eA==\r\n\r\nhello"
    );
    let (mut client, mut upstream, head) = gateway.ask(&request).await;
    assert!(head.starts_with("POST /items?x=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(upstream.exactly(5).await, "hello");
    #[rustfmt::skip]
    let rows = [
        ("host", Some(&**address)), ("content-length", Some("5")), ("x-mine", Some("kept")), ("x-named", None),
        ("x-forwarded-for", Some("127.0.0.1")), ("forwarded", None), ("upgrade", None), ("http2-settings", None),
        ("connection", None), ("proxy-authorization", None),
    ];
    for (name, expected) in rows {
        assert_eq!(field(&head, name).as_deref(), expected, "{name}");
    }
    upstream
        .send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-Mine: kept\r\nConnection: x-named\r\nX-Named: gone\r\n\
               Keep-Alive: timeout=5\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    let answer = client.head().await;
    assert_eq!((status(&answer), field(&answer, "x-mine").as_deref()), (201, Some("kept")));
    assert_eq!((field(&answer, "x-named"), field(&answer, "keep-alive")), (None, None));
    assert_eq!(client.exactly(13).await, "3\r\nabc\r\n0\r\n\r\n");
    // The connection stays open.
    client.send(&format!("GET /again HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    let again = tokio::select! {
        // On the same connection to the upstream, or on another.
        head = upstream.head() => head,
        (_, head) = gateway.asked() => head,
    };
    assert!(again.starts_with("GET /again HTTP/1.1\r\n"), "{again}");
}

#[tokio::test]
async fn a_connect_is_405_and_an_absolute_target_chooses_no_upstream() {
    let gateway = Gateway::start(&[]).await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = elsewhere.local_addr().unwrap();
    let connect = format!("CONNECT {other} HTTP/1.1\r\nHost: {other}\r\nConnection: close\r\n\r\n");
    let answer = gateway.refused(&connect).await;
    assert_eq!((status(&answer), field(&answer, "allow").is_some()), (405, true), "{answer}");

    let (_client, _upstream, head) =
        gateway.ask(&format!("GET http://{other}/secret HTTP/1.1\r\nHost: {other}\r\n\r\n")).await;
    assert!(head.starts_with("GET /secret HTTP/1.1\r\n"), "{head}");
    assert!(tokio::time::timeout(A_WHILE, elsewhere.accept()).await.is_err(), "another server is asked");
}

#[tokio::test]
async fn who_asks_for_nothing_is_ended_whatever_the_version() {
    let gateway = Gateway::start(&["--head-timeout", "1"]).await;
    let mut clients = Vec::new();
    #[rustfmt::skip]
    let rows = [
        ("nothing", ""),
        ("half a head", "GET / HTTP/1.1\r\nHost:"),
        ("half a preface of HTTP/2", "PRI * HTTP/2.0\r\n"),
        ("a preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("settings behind it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("fields that do not end", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x01\0\0\0\0\x01"),
    ];
    let start = std::time::Instant::now();
    for (name, sent) in rows {
        let mut client = gateway.connect().await;
        client.send(sent).await;
        clients.push((name, client));
    }
    for (name, client) in &mut clients {
        println!("{name}");
        client.rest().await;
    }
    assert!(start.elapsed().as_millis() >= 900, "{:?}", start.elapsed());
    // A request that the upstream is answering may take longer.
    let (mut client, mut upstream, _) = gateway.ask("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 204);
}

#[tokio::test]
async fn hosts_are_guarded_for_plain_requests_too() {
    let gateway = Gateway::start(&["--allow-host", "app.example.com"]).await;
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    #[rustfmt::skip]
    let rows = [
        ("another host", get("Host: evil.example\r\n"), 403),
        ("a malformed one", get("Host: app.example.com:99999\r\n"), 400),
        ("two of them", get("Host: app.example.com\r\nHost: evil.example\r\n"), 400),
        ("none", get(""), 400),
        ("a target that disagrees", get("Host: app.example.com\r\n").replace("GET /", "GET http://evil.example/"), 400),
    ];
    for (name, request, expected) in rows {
        assert_eq!(status(&gateway.refused(&request).await), expected, "{name}");
    }
    let (_client, _upstream, head) = gateway.ask(&get("Host: app.example.com\r\n")).await;
    assert_eq!(field(&head, "host").as_deref(), Some("app.example.com"));
}

#[tokio::test]
async fn an_upstream_that_switches_unasked_is_502_as_is_a_dead_one_and_a_slow_one_504() {
    let gateway = Gateway::start(&["--upstream-timeout", "0.3"]).await;
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    let (mut client, mut upstream, _) = gateway.ask(&get).await;
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
    let (mut client, _upstream, _) = gateway.ask(&get).await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 504);
    let Gateway { process: _process, upstream, address, .. } = gateway;
    drop(upstream);
    let mut client = crate::support::Peer(tokio::net::TcpStream::connect(&address).await.unwrap());
    client.send(&get).await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
}

#[tokio::test]
async fn bodies_are_framed_anew() {
    let gateway = Gateway::start(&[]).await;
    let ask = |line: &str, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\r\n", gateway.address)
    };

    // A `GET` with a body, but without a length.
    let chunked = ask("GET /search", "Transfer-Encoding: chunked\r\n") + "5\r\nquery\r\n0\r\n\r\n";
    let (mut client, mut upstream, head) = gateway.ask(&chunked).await;
    assert_eq!(field(&head, "transfer-encoding").as_deref(), Some("chunked"), "{head}");
    assert_eq!(upstream.exactly(15).await, "5\r\nquery\r\n0\r\n\r\n");
    // A response with a length and with chunks.
    upstream
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")
        .await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert_eq!(field(&answer, "content-length"), None, "{answer}");
    assert!(answer.contains("hello world"), "{answer}");

    // The length of a body that a `HEAD` does not get.
    for (framing, length) in [("Transfer-Encoding: chunked", None), ("Content-Length: 7", Some("7"))] {
        let (mut client, mut upstream, _) = gateway.ask(&ask("HEAD /", "")).await;
        upstream.send(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{framing}\r\n\r\n")).await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(field(&answer, "content-length").as_deref(), length, "{answer}");
    }
}

#[tokio::test]
async fn transfer_codings_that_nobody_decodes_are_refused() {
    let gateway = Gateway::start(&[]).await;
    for codings in ["gzip, chunked", "identity, chunked", "chunked, chunked"] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            gateway.address
        );
        assert_eq!(status(&gateway.refused(&request).await), 501, "{codings}");
    }
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    let (mut client, mut upstream, _) = gateway.ask(&get).await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
    let (mut client, mut upstream, _) = gateway.ask(&crate::support::handshake(&gateway.address, "")).await;
    upstream.send("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
}

#[tokio::test]
async fn an_answer_without_content_has_no_length() {
    let gateway = Gateway::start(&[]).await;
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    let (mut client, mut upstream, _) = gateway.ask(&get).await;
    upstream.send("HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Length: 5\r\n\r\n").await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert_eq!((status(&answer), field(&answer, "content-length")), (204, None), "{answer}");
}

#[tokio::test]
async fn headers_that_name_the_user_do_not_reach_the_upstream() {
    let gateway = Gateway::start(&["--drop-header", "X-Auth-User", "--drop-header", "x-token"]).await;
    let forged = "X-Auth-User: root\r\nX_Auth_User: root\r\nX.Token: t\r\nRemote-User: root\r\nRemote_User: root\r\n\
                  X-SSL-Client-Cert: c\r\nCF-Connecting-IPv6: ::1\r\nProxy-Client-IP: a\r\nWL-Proxy-Client-IP: a\r\n\
                  Fly-Client-IP: a\r\nX-Original-For: a\r\nX-Original-Proto: https\r\nX-Url-Scheme: https\r\n\
                  X-Remote-User: root\r\nX-SSL-Client-Verify: SUCCESS\r\nSSL-Client-Cert: c\r\nX-Client-Cert: c\r\n\
                  X-Remote-IP: a\r\nDo-Connecting-IP: a\r\nX-Azure-SocketIP: a\r\nCF-Pseudo-IPv4: a\r\n\
                  X-Envoy-External-Address: a\r\nX-Azure-ClientIP: a\r\nX-Mine: kept\r\n";
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\n{forged}\r\n", gateway.address);
    for request in [get, crate::support::handshake(&gateway.address, forged)] {
        let (_client, _upstream, head) = gateway.ask(&request).await;
        assert_eq!(field(&head, "x-mine").as_deref(), Some("kept"), "{head}");
        for line in forged.lines().filter(|line| !line.starts_with("X-Mine")) {
            let name = line.split(':').next().unwrap();
            assert_eq!(field(&head, name), None, "{head}");
        }
    }
}

#[tokio::test]
async fn a_target_without_a_path_goes_nowhere() {
    let gateway = Gateway::start(&[]).await;
    let request = format!("OPTIONS * HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    assert_eq!(status(&gateway.refused(&request).await), 400);
    let request = format!("TRACE / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    assert_eq!(status(&gateway.refused(&request).await), 405);
}

#[tokio::test]
async fn the_upstreams_time_begins_when_it_has_the_request() {
    let gateway = Gateway::start(&["--upstream-timeout", "0.5", "--body-timeout", "1.5"]).await;
    let post = |length: u32| {
        format!("POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n", gateway.address)
    };
    let (mut client, mut upstream, _) = gateway.ask(&post(3)).await;
    for byte in ["a", "b", "c"] {
        tokio::time::sleep(A_WHILE).await;
        client.send(byte).await;
        assert_eq!(upstream.exactly(1).await, byte);
    }
    upstream.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 200);

    // The gateway does not wait for a body that stands still.
    let (mut client, mut upstream, _) = gateway.ask(&post(3)).await;
    client.send("a").await;
    assert_eq!(upstream.exactly(1).await, "a");
    assert_eq!(status(&String::from_utf8(client.rest().await).unwrap()), 502);
    // The same for a body from the upstream.
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    let (mut client, mut upstream, _) = gateway.ask(&get).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin").await;
    assert!(String::from_utf8(client.rest().await).unwrap().ends_with("\r\n\r\nbegin"));
}
