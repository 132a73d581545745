//! Other layers outside and inside, and routers that are nested and merged.

use std::{
    convert::Infallible,
    future::{Ready, poll_fn},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep},
};
use tower::{Layer, Service, ServiceBuilder};
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
use ws_handshake::{WsHandshakeLayer, testing::TestServer};

use crate::{
    common::{both_forms, echo, echo_by_callback},
    http_version::{Over, forms},
    support::echoes,
};

#[tokio::test]
async fn a_service_that_is_not_ready_is_waited_for() {
    #[derive(Clone)]
    struct Never;
    impl Service<Request> for Never {
        type Response = Response;
        type Error = Infallible;
        type Future = Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request) -> Self::Future {
            panic!("it is not ready")
        }
    }
    let mut service = WsHandshakeLayer::new().layer(Never);
    assert!(poll_fn(|cx| service.poll_ready(cx)).now_or_never().is_none());
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
    let server = TestServer::new(both_forms().layer(WsHandshakeLayer::new()).layer(outer));
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
    let app = both_forms().layer(field()).layer(timeout()).layer(through).layer(WsHandshakeLayer::new());
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
async fn nested_and_merged_routers_and_fallbacks_get_the_stream() {
    let api = Router::new().nest("/v1", both_forms()).fallback(async || (http::StatusCode::NOT_FOUND, "no such api"));
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
