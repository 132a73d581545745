//! The server that is held against the cases, with the policy that each file asks for.

use std::net::SocketAddr;

use axum::{Router, routing::any};
use tokio::{net::TcpListener, runtime::Runtime};
use ws_handshake::{AllowHost, AllowOrigin, PermessageDeflate, Subprotocols, WsHandshakeLayer, WsStream};

use crate::runner::format::{self, Policy};

pub(crate) fn ours(policy: &Policy) -> Router {
    let allow = match &policy.allow_origin {
        format::AllowOrigin::SameOrigin => AllowOrigin::same_origin(),
        format::AllowOrigin::Any => AllowOrigin::any(),
        format::AllowOrigin::List(origins) => AllowOrigin::list(origins).unwrap(),
    };
    let mut layer = WsHandshakeLayer::new().allow_origin(allow);
    if policy.require_origin {
        layer = layer.require_origin(true);
    }
    if let Some(hosts) = &policy.allow_hosts {
        layer = layer.allow_host(AllowHost::list(hosts).unwrap());
    }
    if !policy.subprotocols.is_empty() {
        let known = Subprotocols::new(&policy.subprotocols).unwrap();
        layer = layer.subprotocols(known.required(policy.subprotocol_required));
    }
    if policy.permessage_deflate {
        layer = layer.permessage_deflate(PermessageDeflate::new());
    }
    Router::new().route("/ws", any(async |_: WsStream| ())).layer(layer)
}

/// Serves until the runtime ends.
pub(crate) fn serve(runtime: &Runtime, app: Router) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}
