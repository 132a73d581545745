//! Checks whether pages of other origins can connect.

use std::panic::Location;

use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use hyper::body::{Body, Bytes, Incoming};
use tower_service::Service;

use super::{
    foreign_origins::{ForeignOrigin, foreign_origins},
    server::{BoxError, TestRequest, TestServer},
};
use crate::{grammar::elements, handshake::Origin};

/// Checks that pages of other origins cannot open the WebSocket at `path`.
///
/// If the request needs more than a path, such as cookies, use [`TestRequest::assert_guarded`].
///
/// # Panics
///
/// See [`TestRequest::assert_guarded`].
#[track_caller]
pub fn assert_guarded<S, B>(app: S, path: impl AsRef<str>) -> impl Future<Output = ()> + Send
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    TestServer::new(app).ws(path).assert_guarded()
}

impl<S: Clone> TestRequest<S> {
    /// Checks that pages of other origins cannot connect with this request.
    ///
    /// First, the request comes from your own page. The page's origin is that of the request's URL, `http://localhost` for a path, unless
    /// [`origin`](Self::origin) names another one. Then the same request comes from each of the [`foreign_origins`]. With the feature
    /// `http2`, all of this is repeated over HTTP/2, if your own page can connect over HTTP/2.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use axum::{Router, extract::ws::WebSocketUpgrade, routing::any};
    /// use ws_handshake::{WsHandshakeLayer, testing::TestServer};
    ///
    /// let chat = async |ws: WebSocketUpgrade| ws.protocols(["v1.chat"]).on_upgrade(async |_| {});
    /// let app = Router::new().route("/chat", any(chat)).layer(WsHandshakeLayer::new());
    /// TestServer::new(app).ws("/chat").header("cookie", "session=1").assert_guarded().await;
    /// # }
    /// ```
    ///
    /// With DNS rebinding, a page can also reach a server under a host name of the attacker. [`AllowHost`](crate::AllowHost) stops DNS
    /// rebinding, and this check does not cover it.
    ///
    /// # Panics
    ///
    /// - If your own page cannot connect: the check then says nothing about other pages. Add what the handler needs, such as cookies.
    /// - If a foreign page can connect.
    /// - If a foreign page is refused for another reason, such as a limit (429, 503) or a failure: the check then says nothing either.
    /// - If the connection stays open after a refusal over HTTP/1.1: behind some proxies, a client can then send more requests on it.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    #[track_caller]
    pub fn assert_guarded<B>(self) -> impl Future<Output = ()> + Send
    where
        S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let caller = Location::caller();
        async move {
            if let Err(finding) = examine(self).await {
                panic!("{caller}: {finding}");
            }
        }
    }
}

async fn examine<S, B>(request: TestRequest<S>) -> Result<(), String>
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let own = request.page().map_err(|error| error.to_string())?;
    let request = request.origin(own.as_str());
    if let Err(error) = request.clone().try_connect().await {
        let body = error.response().map(|response| String::from_utf8_lossy(response.body())).unwrap_or_default();
        let said = if body.is_empty() { body } else { format!(": {body}").into() };
        return Err(format!("your own page {own} cannot connect, so nothing can be told about others: {error}{said}"));
    }
    let over_http2 = request.clone().over_http2();
    refuses_foreign_pages(request, &own).await?;
    if let Some(request) = over_http2
        && request.clone().try_connect().await.is_ok()
    {
        refuses_foreign_pages(request, &own).await?;
    }
    Ok(())
}

async fn refuses_foreign_pages<S, B>(request: TestRequest<S>, own: &Origin) -> Result<(), String>
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut connected = Vec::new();
    let mut undecided = Vec::new();
    let mut left_open = Vec::new();
    for ForeignOrigin { origin, description } in foreign_origins(own) {
        match request.clone().origin(origin.as_str()).try_connect().await {
            Ok(_) => connected.push(format!("{origin} ({description})")),
            Err(error) => match error.response() {
                Some(refusal) if !judges(refusal.status()) => {
                    undecided.push(format!("{origin} gets {}", refusal.status()));
                }
                Some(refusal) if leaves_open(refusal) => left_open.push(origin.to_string()),
                Some(_) => {}
                None => undecided.push(format!("{origin}: {error}")),
            },
        }
    }
    if !connected.is_empty() {
        return Err(format!(
            "foreign pages can connect: {}. Call `.layer(WsHandshakeLayer::new())` last, after every `.route(..)` and every other \
             `.layer(..)`",
            connected.join(", ")
        ));
    }
    if !undecided.is_empty() {
        return Err(format!(
            "nothing can be told, because the app refuses for another reason than the page: {}",
            undecided.join(", ")
        ));
    }
    if !left_open.is_empty() {
        return Err(format!("the connection stays open behind a refusal of {}", left_open.join(", ")));
    }
    Ok(())
}

/// Whether the app decided about the request. An app that fails, or is asked too often, does not decide.
fn judges(status: StatusCode) -> bool {
    let undecided = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !undecided.contains(&status)
}

/// Whether a refusal leaves the connection open for other requests.
fn leaves_open(refusal: &Response<Bytes>) -> bool {
    let closes = |value: &HeaderValue| elements(value.as_bytes()).any(|option| option.eq_ignore_ascii_case(b"close"));
    refusal.version() == Version::HTTP_11 && !refusal.headers().get_all(CONNECTION).iter().any(closes)
}
