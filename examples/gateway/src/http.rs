//! Plain HTTP.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, Method, Request, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    uri::{PathAndQuery, Scheme},
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::oneshot, time::sleep};
use tower_http::timeout::TimeoutBody;

use super::{
    Gateway,
    fields::{Peer, end_to_end, has_other_codings},
    upstream_failed,
};

pub(super) type Client = legacy::Client<HttpConnector, Body>;

pub(super) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

/// Lets the upstream answer. The request never chooses the upstream: of an absolute target, only the path goes on.
pub(super) async fn handle(gateway: &Gateway, peer: &Peer, request: Request<Body>) -> Response {
    let Some(uri) = target(gateway, request.uri()) else {
        return (StatusCode::BAD_REQUEST, "the target has no path").into_response();
    };
    if has_other_codings(request.headers()) {
        // RFC 9112 §6.1: a server without the coding "SHOULD respond with 501".
        let reason = "of transfer codings, only `chunked` is passed on";
        return (StatusCode::NOT_IMPLEMENTED, [(CONNECTION, "close")], reason).into_response();
    }
    let is_head = request.method() == Method::HEAD;
    let fields = peer.request_fields(gateway, request.headers());
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    parts.version = Version::HTTP_11;
    parts.headers = fields;
    // The rest of the client's connection does not concern the upstream.
    parts.extensions.clear();
    if !body.is_end_stream() && !parts.headers.contains_key(CONTENT_LENGTH) {
        // Otherwise a `GET` would go on without its body.
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let (body, sent) = Sending::new(TimeoutBody::new(gateway.body_timeout, body));
    let too_slow = async {
        // An error says that the body is gone, sent or not.
        let _ = sent.await;
        sleep(gateway.upstream_timeout).await;
    };
    let answered = tokio::select! {
        answered = gateway.client.request(Request::from_parts(parts, Body::new(body))) => answered,
        () = too_slow => return upstream_failed(StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long to answer", None),
    };
    match answered {
        Ok(response) if response.status().is_informational() => upstream_failed(
            StatusCode::BAD_GATEWAY,
            "the upstream switched protocols, which nobody had asked for",
            None,
        ),
        Ok(response) if has_other_codings(response.headers()) => {
            upstream_failed(StatusCode::BAD_GATEWAY, "the upstream answers with an unknown transfer coding", None)
        }
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            let chunked = parts.headers.contains_key(TRANSFER_ENCODING);
            parts.headers = end_to_end(&parts.headers);
            if parts.status == StatusCode::NO_CONTENT {
                // RFC 9110 §8.6: "MUST NOT send a Content-Length header field in any response with a status code of [...] 204".
                parts.headers.remove(CONTENT_LENGTH);
            }
            parts.version = Version::HTTP_11;
            parts.extensions.clear();
            let body = if is_head && chunked {
                // RFC 9110 §8.6: omit a length that a `GET` would not have. For an empty body, hyper would write a length of 0.
                Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::io::Error>>())
            } else {
                Body::new(TimeoutBody::new(gateway.body_timeout, body))
            };
            Response::from_parts(parts, body)
        }
        Err(error) => upstream_failed(StatusCode::BAD_GATEWAY, "the upstream does not answer", Some(&error)),
    }
}

/// The target at the upstream. `None` for a target without a path, such as that of `OPTIONS *`.
fn target(gateway: &Gateway, uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    if !path.as_str().starts_with(['/', '?']) {
        return None;
    }
    Uri::builder().scheme(Scheme::HTTP).authority(gateway.upstream.clone()).path_and_query(path).build().ok()
}

/// A body that signals when it has been sent, because the upstream's time to answer starts then.
struct Sending {
    body: Pin<Box<TimeoutBody<Body>>>,
    sent: Option<oneshot::Sender<()>>,
}

impl Sending {
    fn new(body: TimeoutBody<Body>) -> (Self, oneshot::Receiver<()>) {
        let (sent, told) = oneshot::channel();
        let mut sending = Self { body: Box::pin(body), sent: Some(sent) };
        if sending.body.is_end_stream() {
            sending.sent = None;
        }
        (sending, told)
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.sent = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
