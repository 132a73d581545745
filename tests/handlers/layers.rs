//! Layers around it, inside it, and several of it.

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use http::{HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    csrf::CsrfLayer,
    request_id::{MakeRequestUuid, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use ws_handshake::{AllowOrigin, ReportedRejection, Subprotocols, WsHandshakeLayer, WsStream, testing::TestServer};

use crate::{
    common::{echo, echo_by_callback, events, saying_how_it_ends},
    http_version::Over,
};

async fn echoes(stream: &mut WsStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
}

/// Each form of handler, over each version of HTTP.
fn forms() -> impl Iterator<Item = (Over, &'static str)> {
    Over::ALL.into_iter().flat_map(|over| ["/straight", "/callback"].map(|path| (over, path)))
}

fn both() -> Router {
    Router::new().route("/straight", any(echo)).route("/callback", any(echo_by_callback))
}

#[tokio::test(start_paused = true)]
async fn outer_layers_pass_the_acceptance_untouched() {
    let outer = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(CatchPanicLayer::new())
        .layer(CorsLayer::permissive())
        .layer(CsrfLayer::new())
        .layer(TimeoutLayer::with_status_code(http::StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(2)))
        .layer(CompressionLayer::new());
    let server = TestServer::new(both().layer(WsHandshakeLayer::new()).layer(outer));
    for (over, path) in forms() {
        let asked = over.ask(&server, path).origin("https://example.com").header("accept-encoding", "gzip");
        let (mut stream, head) = asked.connect().await.unwrap();
        for name in ["content-encoding", "transfer-encoding"] {
            assert_eq!(head.headers().get(name), None, "{path}");
        }
        // A timeout outside ends with the answer.
        sleep(Duration::from_secs(4)).await;
        echoes(&mut stream).await;
    }
}

/// The layer's documentation says where these belong.
#[tokio::test(start_paused = true)]
async fn inner_layers_live_as_long_as_a_straight_handler_and_do_not_reach_its_answer() {
    let field = || {
        let (name, value) = (HeaderName::from_static("x-inner"), HeaderValue::from_static("yes"));
        SetResponseHeaderLayer::overriding(name, value)
    };
    let timeout = || TimeoutLayer::with_status_code(http::StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(2));
    let through = from_fn(async |request: Request, next: Next| next.run(request).await);
    let app = both().layer(field()).layer(timeout()).layer(through).layer(WsHandshakeLayer::new());
    let server = TestServer::new(app);
    for over in Over::ALL {
        let start = Instant::now();
        let (mut stream, head) = over.ask(&server, "/straight").connect().await.unwrap();
        assert_eq!(head.headers().get("x-inner"), None);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the inner timeout leaves the stream open");
        assert_eq!(start.elapsed().as_secs(), 2);

        let (mut stream, head) = over.ask(&server, "/callback").connect().await.unwrap();
        assert_eq!(head.headers()["x-inner"], "yes");
        sleep(Duration::from_secs(4)).await;
        echoes(&mut stream).await;
    }
}

#[tokio::test]
async fn a_layer_on_the_route_under_one_on_the_router() {
    let outer = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://example.com", "https://outer.com"]).unwrap())
        .subprotocols(Subprotocols::new(["outer", "both"]).unwrap());
    let inner = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://example.com", "https://inner.com"]).unwrap())
        .subprotocols(Subprotocols::new(["inner", "both"]).unwrap());
    let server = TestServer::new(both().layer(inner).layer(outer));
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
            let error = if answered { "Some(NotAnswered)" } else { "Some(ClientGone)" };
            if !answered {
                asking.abort();
            }
            assert_eq!(events.next().await, error, "{path}, answered: {answered}");
        }
    }
}

#[tokio::test]
async fn three_layers_deep_and_reports_are_kept() {
    let app = both()
        .layer(WsHandshakeLayer::new().allow_origin(AllowOrigin::any()))
        .layer(WsHandshakeLayer::new().report_only())
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

#[tokio::test]
async fn routers_nested_merged_and_with_fallbacks() {
    let api = Router::new().nest("/v1", both()).fallback(async || (http::StatusCode::NOT_FOUND, "no such api"));
    let app = Router::new()
        .nest("/api", api)
        .merge(Router::new().route("/merged", any(echo)))
        .route("/more/{*rest}", any(echo_by_callback))
        .fallback_service(any(echo))
        .layer(WsHandshakeLayer::new());
    let server = TestServer::new(app);
    for over in Over::ALL {
        for path in ["/api/v1/straight", "/api/v1/callback", "/merged", "/more/of/it", "/"] {
            let (mut stream, _) = over.ask(&server, path).connect().await.unwrap();
            echoes(&mut stream).await;
        }
        let refusal = over.ask(&server, "/api/v2").connect().await.unwrap_err();
        assert_eq!((refusal.status().as_u16(), &refusal.body()[..]), (404, &b"no such api"[..]));
    }
}
