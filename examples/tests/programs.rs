//! Runs the examples as a new user does.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{path::Path, process::Command, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message, client::ClientRequestBuilder},
};

use support::{Program, SOON, connects, http};

/// Starts an example of this package, which Cargo builds for its tests.
async fn run(name: &str, arguments: &[&str]) -> Program {
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap();
    Program::run(&built.join("examples").join(name), arguments).await
}

#[tokio::test]
async fn each_serves_sockets_and_guards_them() {
    let free = "127.0.0.1:0";
    let echo = &["--addr", free, "--allow-origin", "https://*.listed.com", "--subprotocol", "v1.chat"][..];
    let alone = &[free][..];
    let rows = [("echo", echo, "/ws"), ("tcp", alone, "/"), ("hyper", alone, "/ws"), ("same_url", alone, "/")];
    for (name, arguments, path) in rows {
        let example = run(name, arguments).await;
        let address = &example.address;
        assert!(connects(address, path, &format!("http://{address}")).await, "{name}: its own page");
        assert!(!connects(address, path, "https://evil.com").await, "{name}: a page of somebody else");
        assert_eq!(
            connects(address, path, "https://a.listed.com").await,
            name == "echo",
            "{name}: a page that is listed"
        );
    }
}

#[tokio::test]
async fn origins_are_reloaded_while_serving() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("origins.txt");
    std::fs::write(&file, "# ours\nhttps://one.com\n").unwrap();
    let example = run("origins", &[file.to_str().unwrap(), "127.0.0.1:0"]).await;
    let address = &example.address;
    assert!(connects(address, "/ws", "https://one.com").await);
    assert!(!connects(address, "/ws", "https://two.com").await);

    let rows = [
        ("a new list", "https://two.com\n", "https://two.com", "https://one.com"),
        ("a list with a mistake", "https://three.com/\n", "https://two.com", "https://three.com"),
        ("a list that may be half written", "https://three.com", "https://two.com", "https://three.com"),
        ("a list that may have been cut off for writing", "", "https://two.com", "https://three.com"),
        ("a list mended", "https://three.com\n", "https://three.com", "https://two.com"),
    ];
    for (name, list, admitted, refused) in rows {
        std::fs::write(&file, list).unwrap();
        timeout(SOON, async {
            while !connects(address, "/ws", admitted).await {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect(name);
        // Twice the interval at which the example checks the file.
        sleep(Duration::from_millis(400)).await;
        assert!(connects(address, "/ws", admitted).await, "{name}");
        assert!(!connects(address, "/ws", refused).await, "{name}");
    }
}

#[tokio::test]
async fn a_ticket_is_good_once_for_its_user_and_on_its_origin() {
    const ALICE: &str = "YWxpY2UncyBrZXk";
    let example = run("token", &["127.0.0.1:0"]).await;
    let address = &example.address;
    let own = &format!("http://{address}");
    let mint = async |key: &str, fields: &str| {
        let head = format!("POST /ticket HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n");
        http(address, &format!("{head}Authorization: Bearer {key}\r\n{fields}\r\n")).await
    };
    let minted = async || {
        let answer = mint(ALICE, &format!("Origin: {own}\r\n")).await;
        assert!(answer.contains("cache-control: no-store"), "{answer}");
        format!("ticket.{}", answer.rsplit("\r\n").next().unwrap())
    };
    // Returns the server's greeting, or the status of the refusal.
    let connect = async |secrets: &str, origin: Option<&str>| {
        let uri = format!("ws://{address}/ws").parse().unwrap();
        let mut request = ClientRequestBuilder::new(uri).with_sub_protocol("v1.chat");
        for secret in secrets.split(", ") {
            request = request.with_sub_protocol(secret);
        }
        if let Some(origin) = origin {
            request = request.with_header("Origin", origin);
        }
        match connect_async(request).await {
            Ok((mut socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "v1.chat");
                socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
            }
            Err(tungstenite::Error::Http(answer)) => answer.status().as_str().to_owned(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect(&format!("bearer.{ALICE}"), Some(own)).await, "hello alice");
    assert_eq!(connect("bearer.bm9ib2R5", Some(own)).await, "401");
    assert!(mint("bm9ib2R5", &format!("Origin: {own}\r\n")).await.starts_with("HTTP/1.1 401"));
    assert!(mint(ALICE, "").await.starts_with("HTTP/1.1 403"), "no page asks");

    let ticket = minted().await;
    assert_eq!(ticket.len(), "ticket.".len() + 22, "128 bits in base64");
    assert_eq!(connect(&ticket, Some(own)).await, "hello alice");
    assert_eq!(connect(&ticket, Some(own)).await, "401", "a second time");
    let ticket = minted().await;
    assert_eq!(connect(&ticket, None).await, "401", "by a client without an origin");
    assert_eq!(connect(&ticket, Some(own)).await, "401", "once it has been shown");
    let ticket = minted().await;
    assert_eq!(connect(&format!("bearer.{ALICE}, {ticket}"), Some(own)).await, "hello alice");
    assert_eq!(connect(&ticket, Some(own)).await, "401", "once it has been shown beside a key");
    let (first, second) = (minted().await, minted().await);
    assert_eq!(connect(&format!("{first}, {second}"), Some(own)).await, "hello alice");
    assert_eq!(connect(&second, Some(own)).await, "401", "once it has been shown behind another");

    let full = async || mint(ALICE, &format!("Origin: {own}\r\n")).await.starts_with("HTTP/1.1 503");
    let mut tickets = 0;
    while !full().await {
        tickets += 1;
    }
    assert_eq!(tickets, 20);
    let bobs = mint("Ym9iJ3Mga2V5", &format!("Origin: {own}\r\n")).await;
    assert!(bobs.starts_with("HTTP/1.1 200"), "alice has taken the room of others: {bobs}");
}

#[tokio::test]
async fn a_shutdown_takes_leave_of_everybody() {
    let mut example = run("shutdown", &["127.0.0.1:0"]).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (mut socket, _) = connect_async(format!("ws://{}/", example.address)).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        clients.push(socket);
    }
    // The server waits for the rest of this, but not forever.
    let mut half = TcpStream::connect(&example.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let process = example.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let left = clients.into_iter().map(async |mut socket| {
        let Some(Ok(Message::Close(Some(close)))) = socket.next().await else { panic!("no leave is taken") };
        assert_eq!(u16::from(close.code), 1001);
        while let Some(Ok(_)) = socket.next().await {}
    });
    timeout(SOON, futures_util::future::join_all(left)).await.expect("somebody was forgotten");
    let status = timeout(2 * SOON, example.process.wait()).await.expect("it does not end").unwrap();
    assert!(status.success(), "{status}");
    drop(half);
}
