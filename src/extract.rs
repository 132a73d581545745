//! Extractors for axum: `WsUpgrade`, `WsStream` and `ConnectionPermit`.

use std::{future::poll_fn, pin::Pin, task::Poll};

use axum_core::{
    body::Body,
    extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{
    connections::ConnectionPermit,
    handshake::Rejection,
    middleware::{UpgradeError, WsStream, WsUpgrade},
};

/// Takes the handshake that the layer has approved.
///
/// `Option<WsUpgrade>` is `None` if the request is not a handshake. So one URL can serve a page and its socket.
impl<S: Sync> FromRequestParts<S> for WsUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Self::take_from_parts(parts)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for WsUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Self::take_optional_from_parts(parts)
    }
}

/// Takes the permit of a handshake that another extractor accepts, for example axum's `WebSocketUpgrade`.
impl<S: Sync> FromRequestParts<S> for ConnectionPermit {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Self::take_from_parts(parts)
    }
}

/// Accepts the handshake, and gives the handler the upgraded stream.
///
/// The extractor takes the whole request, so put it last. The extractors before it can then refuse the client. If the request may also ask
/// for a page, take an `Option<WsUpgrade>` instead.
impl<S: Sync> FromRequest<S> for WsStream {
    type Rejection = WsStreamRejection;

    fn from_request(mut request: Request, _: &S) -> impl Future<Output = Result<Self, WsStreamRejection>> + Send {
        let mut accepting = WsUpgrade::take_from(&mut request).map(WsUpgrade::accept_traced);
        // The handler's future may live for days, and contains this future. So this future holds no request, and nothing twice.
        poll_fn(move |cx| match &mut accepting {
            Ok(accepting) => Pin::new(accepting).poll(cx).map_err(WsStreamRejection::Upgrade),
            Err(rejection) => Poll::Ready(Err(WsStreamRejection::Handshake(rejection.clone()))),
        })
    }
}

impl WsUpgrade {
    /// Accepts the handshake: returns the complete answer, and runs `callback` with the stream after the layer has passed the answer on.
    /// See [`on_upgrade_into`](Self::on_upgrade_into).
    ///
    /// ```
    /// use axum::response::Response;
    /// use ws_handshake::WsUpgrade;
    ///
    /// async fn feed(ws: WsUpgrade) -> Response {
    ///     ws.on_upgrade(|stream| async move {
    ///         // Frame `stream` with the library of your choice.
    ///         drop(stream);
    ///     })
    /// }
    /// ```
    pub fn on_upgrade<F, Fut>(self, callback: F) -> Response
    where
        F: FnOnce(WsStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_upgrade_into(callback)
    }
}

/// Why a [`WsStream`] could not be extracted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WsStreamRejection {
    /// The request has no approved handshake to accept.
    Handshake(Rejection),
    /// The handshake was accepted, but the upgrade failed.
    Upgrade(UpgradeError),
}

impl IntoResponse for WsStreamRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Handshake(rejection) => rejection.into_response(),
            Self::Upgrade(error) => error.into_response(),
        }
    }
}

impl std::fmt::Display for WsStreamRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Handshake(rejection) => rejection.fmt(f),
            Self::Upgrade(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WsStreamRejection {}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = self.response::<Body>();
        response.extensions_mut().insert(self);
        response
    }
}

/// Lets a handler use `?`. After a handshake is accepted, nobody reads what the handler returns. Before, the status says whose fault the
/// error is.
impl IntoResponse for UpgradeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::ConnectionClosed => StatusCode::BAD_REQUEST,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::ServerDraining => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotAnswered | Self::Unsupported => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
