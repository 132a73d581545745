//! The servers that are held against the cases: ours, and those whose extractors axum's users have besides.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::ws::WebSocketUpgrade,
    routing::{any, get},
};
use tokio::{net::TcpListener, runtime::Runtime};
use ws_handshake::{AllowHost, AllowOrigin, PermessageDeflate, Subprotocols, WsHandshakeLayer, WsStream};

use crate::runner::format::{self, Policy};

/// An application as the documentation of its library writes it, told as much of a policy as there is a knob for.
pub(crate) type Server = fn(&Policy) -> Router;

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
        layer = layer.subprotocols(if policy.subprotocol_required { known.required(true) } else { known });
    }
    if policy.permessage_deflate {
        layer = layer.permessage_deflate(PermessageDeflate::new());
    }
    Router::new().route("/ws", any(async |_: WsStream| ())).layer(layer)
}

pub(crate) fn axum(policy: &Policy) -> Router {
    let known = policy.subprotocols.clone();
    let accept = async move |ws: WebSocketUpgrade| ws.protocols(known).on_upgrade(async |_| ());
    Router::new().route("/ws", any(accept))
}

pub(crate) fn fastwebsockets(_: &Policy) -> Router {
    let accept = async |ws: fastwebsockets::upgrade::IncomingUpgrade| ws.upgrade().unwrap().0;
    Router::new().route("/ws", get(accept))
}

pub(crate) fn yawc(policy: &Policy) -> Router {
    let options = yawc::Options::default();
    let options = if policy.permessage_deflate { options.with_balanced_compression() } else { options };
    let accept = async move |ws: yawc::IncomingUpgrade| ws.upgrade(options).unwrap().0;
    Router::new().route("/ws", get(accept))
}

/// Serves until the runtime ends.
pub(crate) fn serve(runtime: &Runtime, app: Router) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}
