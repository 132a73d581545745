use std::error::Error;

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use fastwebsockets::{
    FragmentCollector, OpCode, WebSocketError,
    upgrade::{IncomingUpgrade, UpgradeFut},
};
use tokio::net::TcpListener;

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/ws", get(chat));
    Ok(axum::serve(listener, app).await?)
}

async fn chat(ws: IncomingUpgrade) -> Result<impl IntoResponse, StatusCode> {
    let (response, upgrade) = ws.upgrade().map_err(|_| StatusCode::BAD_REQUEST)?;
    tokio::spawn(async move {
        if let Err(error) = echo(upgrade).await {
            eprintln!("a socket ended: {error}");
        }
    });
    Ok(response)
}

async fn echo(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrade.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
