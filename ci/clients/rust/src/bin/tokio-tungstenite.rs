//! tokio-tungstenite: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let mut request = url.into_client_request()?;
    if !origin.is_empty() {
        request.headers_mut().insert("origin", origin.parse()?);
    }
    let mut socket = match connect_async(request).await {
        Ok((socket, _)) => socket,
        Err(error) => {
            println!("refused {error}");
            return Ok(());
        }
    };
    println!("opened");
    socket.send(Message::binary(message.clone())).await?;
    assert!(socket.next().await.ok_or("no echo")?? == Message::binary(message));
    println!("echoed");
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await?;
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { return Err("no close".into()) };
    println!("closed {}", u16::from(frame.code));
    Ok(())
}
