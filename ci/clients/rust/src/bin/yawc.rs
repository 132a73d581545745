//! yawc: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing. Over HTTP/2 if the variable
//! `HTTP2` is set.

use std::error::Error;

use futures_util::SinkExt;
use yawc::{HttpRequest, HttpVersion, OpCode, Options, WebSocket, close::CloseCode, frame::Frame};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let mut request = HttpRequest::builder();
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    // By default it reads frames of less than 1 MiB.
    let options = Options::default().with_max_payload_read(2 << 20);
    let version = if std::env::var_os("HTTP2").is_some() { HttpVersion::Http2 } else { HttpVersion::Http1 };
    let connecting = WebSocket::connect(url.parse()?).http_version(version);
    let mut socket = match connecting.with_options(options).with_request(request).await {
        Ok(socket) => socket,
        Err(error) => {
            println!("refused {error}");
            return Ok(());
        }
    };
    println!("opened");
    socket.send(Frame::binary(message.clone())).await?;
    let echo = socket.next_frame().await?;
    assert!(echo.opcode() == OpCode::Binary && echo.payload()[..] == message);
    println!("echoed");
    socket.send(Frame::close(CloseCode::Normal, "")).await?;
    let closed = socket.next_frame().await?;
    println!("closed {}", u16::from(closed.close_code().ok_or("no close")?));
    Ok(())
}
