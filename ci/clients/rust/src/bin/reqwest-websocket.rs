//! reqwest-websocket: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use std::error::Error;

use futures_util::{SinkExt, TryStreamExt};
use reqwest::Client;
use reqwest_websocket::{CloseCode, Error::Handshake, Message, Upgrade};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let mut request = Client::new().get(url);
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    let mut socket = match request.upgrade().send().await?.into_websocket().await {
        Ok(socket) => socket,
        Err(Handshake(error)) => {
            println!("refused {error}");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    println!("opened");
    socket.send(Message::Binary(message.clone().into())).await?;
    let Some(Message::Binary(echo)) = socket.try_next().await? else { return Err("no echo".into()) };
    assert!(echo == message);
    println!("echoed");
    socket.send(Message::Close { code: CloseCode::Normal, reason: String::new() }).await?;
    let Some(Message::Close { code, .. }) = socket.try_next().await? else { return Err("no close".into()) };
    println!("closed {}", u16::from(code));
    Ok(())
}
