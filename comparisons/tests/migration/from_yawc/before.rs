use std::error::Error;

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use yawc::{IncomingUpgrade, Options, UpgradeFut, frame::OpCode};

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/ws", get(chat));
    Ok(axum::serve(listener, app).await?)
}

fn options() -> Options {
    Options::default().with_utf8().with_balanced_compression()
}

async fn chat(ws: IncomingUpgrade) -> Result<impl IntoResponse, StatusCode> {
    let (response, upgrade) = ws.upgrade(options()).map_err(|_| StatusCode::BAD_REQUEST)?;
    tokio::spawn(echo(upgrade));
    Ok(response)
}

async fn echo(upgrade: UpgradeFut) {
    let Ok(mut socket) = upgrade.await else { return };
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) && socket.send(frame).await.is_err() {
            return;
        }
    }
}
