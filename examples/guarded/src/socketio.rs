//! A Socket.IO server that echoes.

use axum::Router;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{Data, SocketRef},
};

pub(crate) fn around(app: Router) -> Router {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("echo", async |socket: SocketRef, Data::<Value>(said)| {
            let _ = socket.emit("echo", &said);
        });
    });
    app.layer(layer)
}
