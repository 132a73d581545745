//! The extractors that axum's users have besides ours.

use axum::{
    Router,
    extract::ws::WebSocketUpgrade,
    routing::{any, get},
};

use crate::runner::format::Policy;

/// An application as the documentation of its library writes it, told as much of a policy as there is a knob for.
pub(crate) type Server = fn(&Policy) -> Router;

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
