//! An application of axum on AWS Lambda.
//!
//! Lambda answers one event with one response, so no connection can become a WebSocket. API Gateway keeps the sockets, and
//! sends their messages as events of another kind. The layer passes plain requests on, and refuses handshakes.

use axum::{Router, routing::get};
use lambda_http::Error;
use tower::Layer;
use ws_handshake::{DefaultRejectionResponse, WsHandshake, WsHandshakeLayer, WsStream};

/// Serves the events of the Lambda runtime.
pub(crate) async fn serve() -> Result<(), Error> {
    lambda_http::run(app()).await
}

fn app() -> WsHandshake<Router, DefaultRejectionResponse> {
    let routes =
        Router::new().route("/", get(async || "hello from Lambda")).route("/echo", get(async |_: WsStream| {}));
    WsHandshakeLayer::new().layer(routes)
}

#[cfg(test)]
mod tests {
    use lambda_http::request;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;

    /// The status and the body of the answer to an event of API Gateway (payload format 2.0).
    async fn answer(path: &str, headers: serde_json::Value) -> (u16, String) {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.example.com",
                "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
                "requestId": "id",
                "stage": "$default",
                "time": "12/Mar/2026:19:03:58 +0000",
                "timeEpoch": 1_773_342_238_000_i64,
            },
            "isBase64Encoded": false,
        });
        let request = request::from_str(&event.to_string()).unwrap();
        let response = app().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn plain_requests_pass() {
        let answer = answer("/", json!({ "host": "api.example.com", "origin": "https://evil.example" })).await;
        assert_eq!(answer, (200, "hello from Lambda".to_owned()));
    }

    #[tokio::test]
    async fn handshakes_are_refused() {
        let handshake = |origin: &str| {
            json!({
                "host": "api.example.com",
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
                "origin": origin,
            })
        };
        let foreign = answer("/echo", handshake("https://evil.example")).await;
        assert_eq!(foreign, (403, "pages of this origin may not connect".to_owned()));
        let own = answer("/echo", handshake("https://api.example.com")).await;
        assert_eq!(own.0, 500, "{}", own.1);
    }
}
