//! Several layers, one inside the other: whose policy holds, which one selects, and when the stream is handed over.

use std::time::Duration;

use axum::{
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use http::HeaderValue;
use tokio::time::sleep;
use ws_handshake::{AllowOrigin, ReportedRejection, Subprotocols, WsHandshakeLayer, testing::TestServer};

use crate::{
    common::{both_forms, events, saying_how_it_ends},
    http_version::{Over, forms},
    support::echoes,
};

#[tokio::test]
async fn both_policies_must_hold_and_the_inner_layer_selects() {
    let outer = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://example.com", "https://outer.com"]).unwrap())
        .subprotocols(Subprotocols::new(["outer", "both"]).unwrap());
    let inner = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://example.com", "https://inner.com"]).unwrap())
        .subprotocols(Subprotocols::new(["inner", "both"]).unwrap());
    let server = TestServer::new(both_forms().layer(inner).layer(outer));
    for (over, path) in forms() {
        let ask = |origin| over.ask(&server, path).origin(origin);
        let (mut stream, _) = ask("https://example.com").connect().await.unwrap();
        echoes(&mut stream).await;
        for (names, selected) in
            [(["outer", "inner"], Some("inner")), (["outer", "other"], None), (["outer", "both"], Some("both"))]
        {
            let (stream, _) = ask("https://example.com").subprotocols(names).connect().await.unwrap();
            assert_eq!(stream.subprotocol(), selected, "{path}: {names:?}");
        }
        for origin in ["https://outer.com", "https://inner.com", "https://evil.com"] {
            let refusal = ask(origin).connect().await.unwrap_err();
            assert_eq!(
                (refusal.status().as_u16(), refusal.headers().get("connection").is_some()),
                (403, over == Over::Http1),
                "{path}: {origin}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_in_after_its_answer_is_told_so() {
    // A detached request: its client is answered, or gone, before the inner layer has seen it.
    for answered in [true, false] {
        let (report, mut events) = events();
        let arrived = report.clone();
        let detach = from_fn(move |request: Request, next: Next| {
            let report = arrived.clone();
            async move {
                report.say("arrived");
                let detached = tokio::spawn(async move {
                    sleep(Duration::from_secs(2)).await;
                    next.run(request).await
                });
                if answered { http::StatusCode::UNAUTHORIZED.into_response() } else { detached.await.unwrap() }
            }
        });
        let app = saying_how_it_ends()
            .layer(WsHandshakeLayer::new())
            .layer(detach)
            .layer(WsHandshakeLayer::new())
            .with_state(report);
        let server = TestServer::new(app);
        for (over, path) in forms() {
            let asking = tokio::spawn(over.ask(&server, path).try_connect());
            assert_eq!(events.next().await, "arrived");
            let error = if answered { "Some(NotAnswered)" } else { "Some(ConnectionClosed)" };
            if !answered {
                asking.abort();
            }
            assert_eq!(events.next().await, error, "{path}, answered: {answered}");
        }
    }
}

#[tokio::test]
async fn three_layers_accept_and_keep_reports() {
    let app = both_forms()
        .layer(WsHandshakeLayer::new().allow_origin(AllowOrigin::any()))
        .layer(WsHandshakeLayer::new().report_only(true))
        .layer(WsHandshakeLayer::new().allow_origin(AllowOrigin::any()));
    let app = app.layer(axum::middleware::map_response(async |mut response: Response| {
        if response.extensions().get::<ReportedRejection>().is_some() {
            response.headers_mut().insert("x-reported", HeaderValue::from_static("yes"));
        }
        response
    }));
    let server = TestServer::new(app);
    for (over, path) in forms() {
        for (origin, reported) in [("https://example.com", false), ("https://evil.com", true)] {
            let (mut stream, head) = over.ask(&server, path).origin(origin).connect().await.unwrap();
            assert_eq!(head.headers().contains_key("x-reported"), reported, "{path}");
            echoes(&mut stream).await;
        }
    }
}
