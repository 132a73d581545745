//! Handshakes that the layer has approved.

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode, Version,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS},
    request::Parts,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use ws_handshake::{ClientError, ClientErrorKind, NotOffered, WsRequest, WsStream, WsUpgrade};

use super::{
    Gateway,
    fields::{Peer, end_to_end, has_other_codings},
    tunnel, upstream_failed,
};

/// Lets the upstream accept first, and then gives the client the upstream's answer.
pub(super) async fn handle(gateway: &Gateway, peer: &Peer, mut ws: WsUpgrade, request: Parts) -> Response {
    let (upstream, answer) = match connect(gateway, peer, &ws, &request).await {
        Ok(connected) => connected,
        Err(response) => return response,
    };
    if agree(&mut ws, &request.headers, &upstream, answer.headers()).is_err() {
        return upstream_failed(StatusCode::BAD_GATEWAY, "the upstream agreed to what nobody had offered", None);
    }
    // The stream may live for days, and the request need not.
    drop(request);
    // Not `accept`: the tunnel then runs in its own task, without the layers that the request passed.
    let idle = gateway.idle_timeout;
    ws.on_upgrade(move |client| tunnel::run(client, upstream, idle))
}

/// Asks the upstream for the same WebSocket, with the same offers.
async fn connect(
    gateway: &Gateway, peer: &Peer, ws: &WsUpgrade, request: &Parts,
) -> Result<(WsStream, Response<()>), Response> {
    let deadline = Instant::now() + gateway.upstream_timeout;
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    // Do not ask for subprotocols that the layer would not agree to.
    let spoken = &gateway.subprotocols;
    let offered =
        ws.offered_subprotocols().filter(|name| spoken.is_empty() || spoken.iter().any(|spoken| spoken == name));
    let mut asked = WsRequest::new(format!("ws://{}{path}", gateway.upstream)).nonstandard_subprotocols(offered);
    for offers in request.headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let offers = offers.to_str().unwrap_or_default();
        // The header is a list over all of its lines, and one line may be empty.
        if !offers.trim_matches([' ', '\t', ',']).is_empty() {
            asked = asked.extensions(offers);
        }
    }
    for (name, value) in &peer.request_fields(gateway, &request.headers) {
        if !name.as_str().starts_with("sec-websocket-") && name != CONTENT_LENGTH {
            asked = asked.header(name, value.clone());
        }
    }
    let connection = match timeout_at(deadline, TcpStream::connect(gateway.upstream.as_str())).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return Err(upstream_failed(StatusCode::BAD_GATEWAY, "the upstream is not there", Some(&error)));
        }
        Err(_) => return Err(too_long()),
    };
    let _ = connection.set_nodelay(true);
    asked.timeout(deadline.saturating_duration_since(Instant::now())).connect(connection).await.map_err(refusal)
}

/// The response for the client if the upstream does not accept.
fn refusal(error: ClientError) -> Response {
    match error.kind() {
        ClientErrorKind::TimedOut => return too_long(),
        ClientErrorKind::RequestInvalid => {
            return (StatusCode::BAD_REQUEST, "the handshake cannot be passed on").into_response();
        }
        _ => {}
    }
    let refused = error.kind() == ClientErrorKind::Refused;
    if !refused || error.response().is_none_or(|response| response.status().as_u16() < 300) {
        let reason = "the upstream does not accept as RFC 6455 has it";
        return upstream_failed(StatusCode::BAD_GATEWAY, reason, Some(&error));
    }
    let (mut parts, mut body) = error.into_response().unwrap_or_default().into_parts();
    if has_other_codings(&parts.headers) {
        return upstream_failed(StatusCode::BAD_GATEWAY, "the upstream answers with an unknown transfer coding", None);
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length != body.len()) || body.len() >= LONGEST_REFUSAL {
        // Part of a body must not look like a whole one.
        body = Bytes::new();
        for name in [CONTENT_ENCODING, CONTENT_TYPE] {
            parts.headers.remove(name);
        }
    }
    parts.headers = end_to_end(&parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    Response::from_parts(parts, Body::from(body))
}

/// How much of a refusal the client library keeps.
const LONGEST_REFUSAL: usize = 64 << 10;

fn too_long() -> Response {
    upstream_failed(StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long to accept", None)
}

/// Gives the client the upstream's answer.
fn agree(ws: &mut WsUpgrade, offered: &HeaderMap, upstream: &WsStream, answer: &HeaderMap) -> Result<(), NotOffered> {
    match upstream.subprotocol() {
        Some(subprotocol) => ws.select_subprotocol(subprotocol)?,
        None => ws.decline_subprotocol(),
    }
    let lines: Vec<_> = answer.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(http::HeaderValue::as_bytes).collect();
    // Several header lines become one, with commas between.
    if let Some(extensions) = (!lines.is_empty()).then(|| lines.join(&b", "[..]).try_into().ok()).flatten() {
        ws.select_extensions(offered, extensions)?;
    }
    ws.headers_mut().extend(end_to_end(answer));
    Ok(())
}
