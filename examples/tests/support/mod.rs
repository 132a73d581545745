//! Programs that tests start, and clients for them. The tests of other packages share this file.
#![allow(dead_code, reason = "not every test has a use for all of it")]

use std::{path::Path, process::Stdio, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::ClientRequestBuilder},
};

/// Longer than any step takes, and shorter than a person would wait.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A program that runs on a free port. It ends with the test.
pub(crate) struct Program {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Program {
    pub(crate) async fn run(path: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(SOON, lines.next_line()).await.expect("it says nothing").unwrap().expect("it has ended");
        let address = line.split("://").nth(1).expect("it prints its address").split('/').next().unwrap().to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, address }
    }
}

/// Whether a page of that origin may connect. If so, the server must echo.
pub(crate) async fn connects(address: &str, path: &str, origin: &str) -> bool {
    let uri = format!("ws://{address}{path}").parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_header("Origin", origin);
    let Ok((mut socket, _)) = connect_async(request).await else { return false };
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    socket.close(None).await.unwrap();
    true
}

/// The server's response, including the head.
pub(crate) async fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("no answer").unwrap();
    answer
}
