//! fastwebsockets: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use std::error::Error;

use bytes::Bytes;
use fastwebsockets::{
    FragmentCollector, Frame, OpCode, Payload,
    handshake::{client, generate_key},
};
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let (host, path) = clients::split(&url);
    let mut request = Request::get(path)
        .header("host", host)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-version", "13");
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    let stream = TcpStream::connect(host).await?;
    let socket = match client(&TokioExecutor::new(), request.body(Empty::<Bytes>::new())?, stream).await {
        Ok((socket, _)) => socket,
        Err(error) => {
            println!("refused {error}");
            return Ok(());
        }
    };
    println!("opened");
    let mut socket = FragmentCollector::new(socket);
    socket.write_frame(Frame::binary(Payload::Borrowed(&message))).await?;
    let echo = socket.read_frame().await?;
    assert!(echo.opcode == OpCode::Binary && echo.payload[..] == message);
    println!("echoed");
    socket.write_frame(Frame::close(1000, b"")).await?;
    let closed = socket.read_frame().await?;
    assert!(closed.opcode == OpCode::Close);
    println!("closed {}", u16::from_be_bytes([closed.payload[0], closed.payload[1]]));
    Ok(())
}
