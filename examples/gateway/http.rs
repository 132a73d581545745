//! Plain HTTP.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode, Uri, Version};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use super::{
    Gateway,
    fields::{Peer, response_fields},
};

pub(super) type Client = legacy::Client<HttpConnector, Body>;

pub(super) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

/// Has the upstream answer. Where it is, is never the request's to say: of an absolute target the path alone goes on.
pub(super) async fn handle(gateway: &Gateway, peer: &Peer, request: Request<Body>) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{}{path}", gateway.upstream).parse::<Uri>() else {
        return (StatusCode::BAD_REQUEST, "the target has no path").into_response();
    };
    let fields = peer.request_fields(request.headers());
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    parts.version = Version::HTTP_11;
    parts.headers = fields;
    // What is left of the client's connection is not the upstream's.
    parts.extensions.clear();
    let answered = timeout(gateway.upstream_timeout, gateway.client.request(Request::from_parts(parts, body))).await;
    match answered {
        Ok(Ok(response)) if response.status().is_informational() => {
            (StatusCode::BAD_GATEWAY, "the upstream switched protocols, which nobody had asked for").into_response()
        }
        Ok(Ok(response)) => {
            let (mut parts, body) = response.into_parts();
            parts.headers = response_fields(&parts.headers);
            parts.version = Version::HTTP_11;
            parts.extensions.clear();
            Response::from_parts(parts, Body::new(body))
        }
        Ok(Err(_)) => (StatusCode::BAD_GATEWAY, "the upstream does not answer").into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long to answer").into_response(),
    }
}
