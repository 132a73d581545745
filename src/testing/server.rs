//! Upgrades in memory.

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

/// An application under test, to which every handshake has a connection of its own.
///
/// See the [module](crate::testing) for an example.
#[derive(Clone, Debug)]
pub struct TestServer<S> {
    app: S,
}

impl<S> TestServer<S> {
    /// Tests `app`: an axum `Router` whose state has been given, or any other tower service, with its
    /// [`WsHandshakeLayer`](crate::WsHandshakeLayer). It is the service itself, not one that makes services: what
    /// `into_make_service_with_connect_info` would add is given by [`TestRequest::extension`].
    pub fn new<B>(app: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>>,
    {
        Self { app }
    }
}

impl<S: Clone> TestServer<S> {
    /// Asks for the WebSocket at `path`, with the host `localhost`; a whole URL, as `wss://app.example.com/chat`, names
    /// another, and so does a `Host` field. A path begins with `/`.
    ///
    /// Without an [`origin`](TestRequest::origin) the client is no browser. Over HTTP/2 the request itself says by its URL
    /// whether it came by https: a page of `http://localhost` is not of the same origin as `wss://localhost` there.
    pub fn ws(&self, path: impl AsRef<str>) -> TestRequest<S> {
        let path = path.as_ref();
        let request = if path.starts_with('/') {
            WsRequest::new(format!("ws://localhost{path}"))
        } else if path.contains("://") {
            WsRequest::new(path)
        } else {
            WsRequest::wrong(ConfigError::new(path, format!("is no path: write `/{path}`")))
        };
        TestRequest { app: self.app.clone(), request, extensions: Extensions::new(), over_http2: false }
    }
}

/// A handshake to be sent to a [`TestServer`]; its knobs are those of a [`WsRequest`].
#[derive(Clone)]
#[must_use = "a request does nothing unless it is sent"]
pub struct TestRequest<S> {
    app: S,
    request: WsRequest,
    extensions: Extensions,
    over_http2: bool,
}

impl<S> TestRequest<S> {
    /// The page that connects: see [`WsRequest::origin`].
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

    /// Offers extensions as they are written: see [`WsRequest::extensions`].
    pub fn extensions(self, offers: impl AsRef<str>) -> Self {
        self.with(|request| request.extensions(offers))
    }

    /// Adds a field line: see [`WsRequest::header`].
    pub fn header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.with(|request| request.header(name, value))
    }

    /// How long the handshake may take: see [`WsRequest::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// Puts a value into the extensions of the request, as a server or an outer layer does: axum's `ConnectInfo`, for
    /// example, which `into_make_service_with_connect_info` would.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Connects over HTTP/2, by an extended `CONNECT` (RFC 8441). The default is HTTP/1.1. It needs the feature `http2`.
    #[cfg(feature = "http2")]
    pub fn http2(mut self) -> Self {
        self.over_http2 = true;
        self
    }

    /// Connects: gives the client's end of the stream and the head of the answer that accepts, or the answer that refuses,
    /// whoever wrote it, with up to 64 KiB of its body.
    ///
    /// # Errors
    ///
    /// The answer that refuses, and one that breaks RFC 6455 §4.1.
    ///
    /// # Panics
    ///
    /// If there is no answer: the handler panicked, or took longer than the [`timeout`](Self::timeout); and if the
    /// request itself is written wrongly. [`try_connect`](Self::try_connect) gives these as errors.
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
        // A future panics where it is polled, which tells nobody which handshake of a test it was.
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

    /// Connects, where it may also be that there is no answer.
    ///
    /// # Errors
    ///
    /// As [`WsRequest::connect`].
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

    /// The page that the request is from: that of its `Origin`, or of its URL.
    pub(super) fn page(&self) -> Result<Origin, ConfigError> {
        self.request.page()
    }

    /// The same request over HTTP/2, if this one is not.
    #[cfg(feature = "http2")]
    pub(super) fn over_http2(self) -> Option<Self> {
        (!self.over_http2).then(|| self.http2())
    }

    /// There is no HTTP/2.
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

/// How much one end may have written before the other has to read, as if by a socket.
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

/// Nobody asks for it.
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
