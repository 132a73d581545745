//! The permit, for handlers that use another extractor.

use http::{Request, request::Parts};

use super::{extraction::extract, handoff::Handoff};
use crate::{
    connections::ConnectionPermit,
    handshake::{Rejection, client::RequestHead},
};

impl ConnectionPermit {
    /// Takes the permit of an approved handshake from a request, for a handler that uses another extractor. With axum, take the permit as
    /// an argument.
    ///
    /// ```
    /// use http::Request;
    /// use ws_handshake::{ConnectionPermit, Rejection};
    ///
    /// fn permit<B>(request: &mut Request<B>) -> Result<ConnectionPermit, Rejection> {
    ///     ConnectionPermit::take_from(request)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] to answer with: 426 for a request that is not a handshake (400 over HTTP/2). The rejection is 500 in four
    /// cases:
    ///
    /// - No [`WsHandshakeLayer`](crate::WsHandshakeLayer) has seen the handshake.
    /// - The layer has no [`connections`](crate::WsHandshakeLayer::connections).
    /// - The permit was taken before.
    /// - The handler takes [`WsUpgrade`](crate::WsUpgrade) or [`WsStream`](crate::WsStream), whose stream holds the permit.
    pub fn take_from<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*request), request.extensions(), Handoff::take_permit)
    }

    /// Does the same as [`take_from`](Self::take_from), with the head of a request.
    ///
    /// # Errors
    ///
    /// The same as for [`take_from`](Self::take_from).
    pub fn take_from_parts(parts: &mut Parts) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*parts), &parts.extensions, Handoff::take_permit)
    }
}
