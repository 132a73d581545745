//! embedded-websocket: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing.

use std::{error::Error, io::Read, net::TcpStream};

use embedded_websocket::{
    WebSocketClient, WebSocketCloseStatusCode, WebSocketOptions, WebSocketReceiveMessageType, WebSocketSendMessageType,
    framer::{Framer, FramerError, ReadResult},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (url, origin) = clients::arguments();
    let message = clients::message();
    let (host, path) = clients::split(&url);
    // It always sends an Origin.
    let own = format!("http://{host}");
    let origin = if origin.is_empty() { &own } else { &origin };
    let options = WebSocketOptions { path, host, origin, sub_protocols: None, additional_headers: None };
    let mut stream = TcpStream::connect(host)?;
    let (mut read, mut written, mut frame) = (vec![0; 4096], vec![0; 2 << 20], vec![0; 2 << 20]);
    let mut cursor = 0;
    let mut socket = WebSocketClient::new_client(rand::thread_rng());
    let mut framer = Framer::new(&mut read, &mut cursor, &mut written, &mut socket);
    match framer.connect(&mut stream, &options) {
        Ok(_) => println!("opened"),
        Err(FramerError::WebSocket(error)) => {
            println!("refused {error:?}");
            return Ok(());
        }
        Err(error) => return Err(format!("{error:?}").into()),
    }
    let failed = |error| format!("{error:?}");
    framer.write(&mut stream, WebSocketSendMessageType::Binary, true, &message).map_err(failed)?;
    let ReadResult::Binary(echo) = framer.read(&mut stream, &mut frame).map_err(failed)? else {
        return Err("no echo".into());
    };
    assert!(echo == message);
    println!("echoed");
    framer.close(&mut stream, WebSocketCloseStatusCode::NormalClosure, None).map_err(failed)?;
    // The framer does not tell the code.
    let length = stream.read(&mut read)?;
    let closed = socket.read(&read[..length], &mut frame).map_err(|error| format!("{error:?}"))?;
    assert!(closed.message_type == WebSocketReceiveMessageType::CloseCompleted);
    assert!(closed.close_status == Some(WebSocketCloseStatusCode::NormalClosure));
    println!("closed 1000");
    Ok(())
}
