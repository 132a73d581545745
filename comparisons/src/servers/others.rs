//! The extractors of fastwebsockets and yawc.

use axum::{Router, response::IntoResponse, routing::any};
use fastwebsockets::upgrade::{IncomingUpgrade as FastUpgrade, UpgradeFut};
use yawc::{IncomingUpgrade as YawcUpgrade, Options, UpgradeFut as YawcFut};

use super::{
    checks::{MayConnect, Subprotocol},
    echo::{Ended, echo_fastwebsockets, echo_yawc},
};

pub fn router(name: &str) -> Option<Router> {
    let route = match name {
        "fastwebsockets" => any(fastwebsockets),
        "fastwebsockets-checked" => any(async |_: MayConnect, subprotocol: Subprotocol, ws: FastUpgrade| {
            let mut response = fastwebsockets(ws).await.into_response();
            subprotocol.answer(response.headers_mut());
            response
        }),
        "yawc" => any(yawc),
        "yawc-checked" => any(async |_: MayConnect, subprotocol: Subprotocol, ws: YawcUpgrade| {
            let mut response = yawc(ws).await.into_response();
            subprotocol.answer(response.headers_mut());
            response
        }),
        "yawc-checked-small" => any(async |_: MayConnect, subprotocol: Subprotocol, ws: YawcUpgrade| {
            let mut response = yawc_with(ws, small()).into_response();
            subprotocol.answer(response.headers_mut());
            response
        }),
        _ => return None,
    };
    Some(Router::new().route("/", route))
}

/// As yawc documents for many idle connections.
pub fn small() -> Options {
    Options::default().with_read_buffer_capacity(1024).with_write_buffer_capacity(1024)
}

async fn fastwebsockets(ws: FastUpgrade) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade().expect("a handshake");
    let echo = async |upgrade: UpgradeFut| -> Ended { echo_fastwebsockets!(upgrade.await?) };
    tokio::spawn(async move { echo(upgrade).await });
    response
}

async fn yawc(ws: YawcUpgrade) -> impl IntoResponse {
    yawc_with(ws, Options::default())
}

fn yawc_with(ws: YawcUpgrade, options: Options) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade(options).expect("a handshake");
    let echo = async |upgrade: YawcFut| -> Ended { echo_yawc!(upgrade.await?) };
    tokio::spawn(async move { echo(upgrade).await });
    response
}
