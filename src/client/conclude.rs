//! Turns the server's answer into a stream or an error.

use std::pin::pin;

use http::{Response, StatusCode, Version};
use hyper::{
    body::{Body, Bytes, Incoming},
    upgrade::OnUpgrade,
};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{Answered, Asked},
    error::{ClientError, ClientErrorKind},
};
use crate::middleware::WsStream;

/// Checks the server's answer, and upgrades the connection if the answer accepts.
pub(super) async fn conclude(
    mut response: Response<Incoming>, asked: &Asked, deadline: Instant,
) -> Result<(WsStream, Response<()>), ClientError> {
    let over_http1 = asked.key.is_some();
    let status = response.status();
    // RFC 6455 §4.1: "a value of 101", over HTTP/1.1. RFC 9113 §8.5 accepts any 2xx for a `CONNECT`. hyper gives the stream only after a
    // 200, which WebSocket servers answer (RFC 8441 §5.1).
    let accepts = if over_http1 {
        status == StatusCode::SWITCHING_PROTOCOLS && response.version() == Version::HTTP_11
    } else {
        status == StatusCode::OK
    };
    if !accepts {
        let (mut parts, body) = response.into_parts();
        // `OnUpgrade` may hold the connection.
        parts.extensions.remove::<OnUpgrade>();
        let body = beginning(body, deadline).await;
        return Err(ClientError::of_response(ClientErrorKind::Refused, Response::from_parts(parts, body)));
    }
    match asked.check(response.headers()) {
        Ok(Answered { subprotocol, deflate }) => {
            let upgraded = timeout_at(deadline, hyper::upgrade::on(&mut response)).await;
            let upgraded = upgraded.map_err(|_| ClientError::timed_out())?.map_err(ClientError::connection_failed)?;
            let stream = WsStream::of_client(upgraded, over_http1, subprotocol, deflate);
            Ok((stream, response.map(drop)))
        }
        // RFC 6455 §4.1: "the client MUST _Fail the WebSocket Connection_".
        Err(kind) => {
            // `OnUpgrade` holds the connection.
            response.extensions_mut().remove::<OnUpgrade>();
            Err(ClientError::of_response(kind, response.map(|_| Bytes::new())))
        }
    }
}

/// The beginning of a body: the part that arrives in time, up to `MAX_BODY`.
async fn beginning(body: Incoming, deadline: Instant) -> Bytes {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while bytes.len() < MAX_BODY {
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
        let Ok(Some(Ok(frame))) = timeout_at(deadline, frame).await else { break };
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(MAX_BODY - bytes.len())]);
        }
    }
    bytes.into()
}

/// How many bytes of a refusal's body are read.
const MAX_BODY: usize = 64 << 10;
