//! The examples, run as a newcomer runs them.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::ClientRequestBuilder},
};

use crate::support::SOON;

/// An example at work on a free port. It ends with the test.
struct Example {
    _process: Child,
    address: String,
}

async fn run(name: &str, arguments: &[&str]) -> Example {
    // Cargo builds the examples beside the tests.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(SOON, lines.next_line()).await.expect("it says nothing").unwrap().expect("it has ended");
    let address = line.split("://").nth(1).expect("it prints its address").split('/').next().unwrap().to_owned();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Example { _process: process, address }
}

async fn connects(address: &str, path: &str, origin: &str) -> bool {
    let uri = format!("ws://{address}{path}").parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_header("Origin", origin);
    let Ok((mut socket, _)) = connect_async(request).await else { return false };
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    socket.close(None).await.unwrap();
    true
}

#[tokio::test]
async fn each_serves_sockets_and_guards_them() {
    let free = "127.0.0.1:0";
    let echo = &["--addr", free, "--allow-origin", "https://*.listed.com", "--subprotocol", "v1.chat"][..];
    let alone = &[free][..];
    let mut rows = vec![("echo", echo, "/ws"), ("tcp", alone, "/"), ("hyper", alone, "/ws"), ("same_url", alone, "/")];
    // What is built without these features has no such example.
    if cfg!(all(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite", feature = "yawc")) {
        let routes = ["/tungstenite", "/fastwebsockets", "/tokio-websockets", "/yawc"];
        rows.extend(routes.map(|route| ("framing", alone, route)));
    }
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
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("origins.txt");
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
        // Twice the time between two looks at the file.
        sleep(Duration::from_millis(400)).await;
        assert!(connects(address, "/ws", admitted).await, "{name}");
        assert!(!connects(address, "/ws", refused).await, "{name}");
    }
}
