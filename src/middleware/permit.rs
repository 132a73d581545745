//! The permit, for handlers that use another extractor.

use http::{Request, request::Parts};

use super::{extraction::extract, handoff::Handoff};
use crate::{
    connections::ConnectionPermit,
    handshake::{Rejection, client::RequestHead},
};

impl ConnectionPermit {
    /// Takes the permit of an approved handshake out of a request, for a handler that takes the connection with another
    /// extractor. With axum, take it as an argument.
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
    /// A [`Rejection`] to answer with: 426 for a request that is no handshake (over HTTP/2 400). 500 in four cases: no
    /// [`WsHandshakeLayer`](crate::WsHandshakeLayer) has seen the handshake, the layer has no
    /// [`connections`](crate::WsHandshakeLayer::connections), the permit was taken before, or the handler takes
    /// [`WsUpgrade`](crate::WsUpgrade) or [`WsStream`](crate::WsStream), whose stream holds the permit.
    pub fn take_from<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*request), request.extensions(), Handoff::take_permit)
    }

    /// As [`take_from`](Self::take_from), from the head of a request.
    ///
    /// # Errors
    ///
    /// As [`take_from`](Self::take_from).
    pub fn take_from_parts(parts: &mut Parts) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*parts), &parts.extensions, Handoff::take_permit)
    }
}
