//! The test server and its requests.

use std::{error::Error, fmt, future::poll_fn, panic::Location, time::Duration};

use http::{Extensions, HeaderValue, Request, Response};
use hyper::{
    body::{Body, Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;
use tower_service::Service;

#[cfg(feature = "http2")]
use crate::client::connect_http2;
use crate::{
    client::{ClientError, WsRequest},
    handshake::Origin,
    middleware::WsStream,
    policy::{ConfigError, PermessageDeflate},
};

/// Runs your app in memory for tests. Each handshake gets a separate connection.
///
/// See the [module](crate::testing) for an example.
#[derive(Clone, Debug)]
pub struct TestServer<S> {
    app: S,
}

impl<S> TestServer<S> {
    /// Tests `app`: an axum `Router` that has its state, or any other tower service, with its
    /// [`WsHandshakeLayer`](crate::WsHandshakeLayer). `app` is the service itself, not a make-service. To add what
    /// `into_make_service_with_connect_info` would add, use [`TestRequest::extension`].
    pub fn new<B>(app: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>>,
    {
        Self { app }
    }
}

impl<S: Clone> TestServer<S> {
    /// Creates a request for the WebSocket at `path`, which begins with `/`. The host is `localhost`. To name another host, give a whole
    /// URL, such as `wss://app.example.com/chat`, or add a `Host` header.
    ///
    /// Without an [`origin`](TestRequest::origin), the request comes from a non-browser client. Over HTTP/2, the URL says whether the
    /// request came over `https`: there, a page of `http://localhost` does not have the same origin as `wss://localhost`.
    pub fn ws(&self, path: impl AsRef<str>) -> TestRequest<S> {
        let path = path.as_ref();
        let request = if path.starts_with('/') {
            WsRequest::new(format!("ws://localhost{path}"))
        } else if path.contains("://") {
            WsRequest::new(path)
        } else {
            WsRequest::wrong(ConfigError::new(path, format!("is not a path: write `/{path}`")))
        };
        TestRequest { app: self.app.clone(), request, extensions: Extensions::new(), over_http2: false }
    }
}

/// A handshake for a [`TestServer`], with the settings of a [`WsRequest`].
#[derive(Clone)]
#[must_use = "a request does nothing unless it is sent"]
pub struct TestRequest<S> {
    app: S,
    request: WsRequest,
    extensions: Extensions,
    over_http2: bool,
}

impl<S> TestRequest<S> {
    /// Sets the page that connects: see [`WsRequest::origin`].
    pub fn origin(self, origin: impl AsRef<str>) -> Self {
        self.with(|request| request.origin(origin))
    }

    /// Offers subprotocols: see [`WsRequest::subprotocols`].
    pub fn subprotocols<I>(self, names: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.with(|request| request.subprotocols(names))
    }

    /// Offers permessage-deflate: see [`WsRequest::permessage_deflate`].
    pub fn permessage_deflate(self, deflate: PermessageDeflate) -> Self {
        self.with(|request| request.permessage_deflate(deflate))
    }

    /// Offers extensions: see [`WsRequest::extensions`].
    pub fn extensions(self, offers: impl AsRef<str>) -> Self {
        self.with(|request| request.extensions(offers))
    }

    /// Adds a header: see [`WsRequest::header`].
    pub fn header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.with(|request| request.header(name, value))
    }

    /// Sets how long the handshake may take: see [`WsRequest::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// Puts a value into the extensions of the request, as a server or an outer layer does, such as axum's `ConnectInfo`, which
    /// `into_make_service_with_connect_info` would insert.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Connects over HTTP/2, with an extended `CONNECT` (RFC 8441). The default is HTTP/1.1. Needs the feature `http2`.
    #[cfg(feature = "http2")]
    pub fn http2(mut self) -> Self {
        self.over_http2 = true;
        self
    }

    /// Connects, and returns the client's end of the stream with the head of the answer. If the layer or the app refuses, you get the
    /// answer that refuses, with up to 64 KiB of its body.
    ///
    /// # Errors
    ///
    /// The answer that refuses, or that breaks RFC 6455 §4.1.
    ///
    /// # Panics
    ///
    /// If there is no answer, because the handler panicked or took longer than the [`timeout`](Self::timeout). Also if the request itself
    /// is wrong. [`try_connect`](Self::try_connect) returns these as errors.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    #[track_caller]
    pub fn connect<B>(self) -> impl Future<Output = Result<(WsStream, Response<()>), Response<Bytes>>> + Send
    where
        S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        // A future panics where it is polled. That place does not say which handshake of a test failed.
        let caller = Location::caller();
        async move {
            let error = match self.try_connect().await {
                Ok(connected) => return Ok(connected),
                Err(error) => error,
            };
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            let told = format!("{error}{source}");
            Err(error.into_response().unwrap_or_else(|| panic!("{caller}: the handshake has no answer: {told}")))
        }
    }

    /// Same as [`connect`](Self::connect), with an error if there is no answer.
    ///
    /// # Errors
    ///
    /// Same as [`WsRequest::connect`].
    pub async fn try_connect<B>(self) -> Result<(WsStream, Response<()>), ClientError>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { app, request, extensions, over_http2 } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().extend(extensions.clone());
            let mut app = app.clone();
            async move {
                poll_fn(|cx| app.poll_ready(cx)).await?;
                app.call(request).await
            }
        });
        let (client, server) = tokio::io::duplex(BUFFER);
        if over_http2 {
            http2(request, client, server, service).await
        } else {
            let mut builder = http1::Builder::new();
            let serving = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(server), service);
            tokio::spawn(async move { drop(serving.with_upgrades().await) });
            request.connect(client).await
        }
    }

    /// The origin of the page that sends the request: its `Origin`, or else the origin of its URL.
    pub(super) fn page(&self) -> Result<Origin, ConfigError> {
        self.request.page()
    }

    /// The same request over HTTP/2, if this one is not.
    #[cfg(feature = "http2")]
    pub(super) fn over_http2(self) -> Option<Self> {
        (!self.over_http2).then(|| self.http2())
    }

    /// Without the feature `http2`, there is no HTTP/2.
    #[cfg(not(feature = "http2"))]
    #[expect(clippy::unused_self, reason = "it takes what it takes with the feature")]
    pub(super) fn over_http2(self) -> Option<Self> {
        None
    }

    fn with(mut self, change: impl FnOnce(WsRequest) -> WsRequest) -> Self {
        self.request = change(self.request);
        self
    }
}

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// How many bytes one end may write before the other end has to read, as with a socket.
const BUFFER: usize = 64 << 10;

#[cfg(feature = "http2")]
async fn http2<T, B>(
    request: WsRequest, client: DuplexStream, server: DuplexStream, service: T,
) -> Result<(WsStream, Response<()>), ClientError>
where
    T: hyper::service::HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let serving =
        builder.timer(TokioTimer::new()).enable_connect_protocol().serve_connection(TokioIo::new(server), service);
    tokio::spawn(async move { drop(serving.await) });
    request.connect_over_http2(&mut connect_http2::<_, String>(client).await?).await
}

/// Without the feature `http2`, nobody asks for HTTP/2.
#[cfg(not(feature = "http2"))]
async fn http2<T>(
    request: WsRequest, client: DuplexStream, _: DuplexStream, _: T,
) -> Result<(WsStream, Response<()>), ClientError> {
    request.connect(client).await
}

impl<S> fmt::Debug for TestRequest<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRequest").field("request", &self.request).finish_non_exhaustive()
    }
}
