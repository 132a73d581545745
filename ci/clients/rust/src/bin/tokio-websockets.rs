//! tokio-websockets: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use hyper::header::ORIGIN;
use tokio_websockets::{ClientBuilder, CloseCode, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let mut builder = ClientBuilder::new().uri(&url)?;
    if !origin.is_empty() {
        builder = builder.add_header(ORIGIN, origin.parse()?)?;
    }
    let mut socket = match builder.connect().await {
        Ok((socket, _)) => socket,
        Err(error) => {
            println!("refused {error}");
            return Ok(());
        }
    };
    println!("opened");
    socket.send(Message::binary(message.clone())).await?;
    let echo = socket.next().await.ok_or("no echo")??;
    assert!(echo.is_binary() && echo.as_payload()[..] == message);
    println!("echoed");
    socket.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await?;
    let closed = socket.next().await.ok_or("no close")??;
    let (code, _) = closed.as_close().ok_or("no close")?;
    println!("closed {}", u16::from(code));
    Ok(())
}
