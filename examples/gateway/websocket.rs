//! Handshakes that the layer has approved.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, SEC_WEBSOCKET_EXTENSIONS},
    request::Parts,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use ws_handshake::{ClientError, ClientErrorKind, NotOffered, WsRequest, WsStream, WsUpgrade};

use super::{
    Gateway,
    fields::{Peer, response_fields},
    tunnel,
};

/// Has the upstream accept first, and then answers what it answered.
pub(super) async fn handle(gateway: &Gateway, peer: &Peer, mut ws: WsUpgrade, request: Parts) -> Response {
    let (upstream, answer) = match connect(gateway, peer, &ws, &request).await {
        Ok(connected) => connected,
        Err(response) => return response,
    };
    if agree(&mut ws, &request.headers, &upstream, answer.headers()).is_err() {
        return (StatusCode::BAD_GATEWAY, "the upstream agreed to what nobody had offered").into_response();
    }
    // The stream may live for days: the request does not have to.
    drop(request);
    // Not straight on: the tunnel is then a task of its own, and nothing of the request's way to here is polled with it.
    ws.on_upgrade(|client| tunnel::run(client, upstream))
}

/// Asks the upstream for the same WebSocket, with the same offers.
async fn connect(
    gateway: &Gateway, peer: &Peer, ws: &WsUpgrade, request: &Parts,
) -> Result<(WsStream, Response<()>), Response> {
    let deadline = Instant::now() + gateway.upstream_timeout;
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked = WsRequest::new(format!("ws://{}{path}", gateway.upstream)).subprotocols(ws.offered_subprotocols());
    for offers in request.headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        asked = asked.extensions(offers.to_str().unwrap_or_default());
    }
    for (name, value) in &peer.request_fields(&request.headers) {
        if !name.as_str().starts_with("sec-websocket-") && name != CONTENT_LENGTH {
            asked = asked.header(name, value.clone());
        }
    }
    let connection = match timeout_at(deadline, TcpStream::connect(&gateway.upstream)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(_)) => return Err((StatusCode::BAD_GATEWAY, "the upstream is not there").into_response()),
        Err(_) => return Err(too_long()),
    };
    let _ = connection.set_nodelay(true);
    asked.timeout(deadline.saturating_duration_since(Instant::now())).connect(connection).await.map_err(refusal)
}

/// What the client is told when the upstream does not accept.
fn refusal(error: ClientError) -> Response {
    match error.kind() {
        ClientErrorKind::TimedOut => return too_long(),
        ClientErrorKind::RequestInvalid => {
            return (StatusCode::BAD_REQUEST, "the handshake cannot be passed on").into_response();
        }
        _ => {}
    }
    let refused = error.kind() == ClientErrorKind::Refused;
    match error.into_response().filter(|response| refused && response.status().as_u16() >= 300) {
        Some(response) => {
            let (mut parts, body) = response.into_parts();
            parts.headers = response_fields(&parts.headers);
            // Of a long body this is the beginning.
            parts.headers.remove(CONTENT_LENGTH);
            parts.extensions.clear();
            Response::from_parts(parts, Body::from(body))
        }
        None => (StatusCode::BAD_GATEWAY, "the upstream does not accept as RFC 6455 has it").into_response(),
    }
}

fn too_long() -> Response {
    (StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long to accept").into_response()
}

/// Answers the client what the upstream has answered.
fn agree(ws: &mut WsUpgrade, offered: &HeaderMap, upstream: &WsStream, answer: &HeaderMap) -> Result<(), NotOffered> {
    if let Some(subprotocol) = upstream.subprotocol() {
        ws.select_subprotocol(subprotocol)?;
    }
    let lines: Vec<_> = answer.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(http::HeaderValue::as_bytes).collect();
    // What had been field values are one with commas between.
    if let Some(extensions) = (!lines.is_empty()).then(|| lines.join(&b", "[..]).try_into().ok()).flatten() {
        ws.select_extensions(offered, extensions)?;
    }
    ws.headers_mut().extend(response_fields(answer));
    Ok(())
}
