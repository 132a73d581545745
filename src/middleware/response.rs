//! Refusals, and changes to responses that do not accept.

use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    },
};
use hyper::body::Body;

use self::sealed::Sealed;
use super::report;
use crate::{
    connections::ConnectionId,
    grammar::lists,
    handshake::{Rejection, client::RequestHead},
    observe::events,
};

/// A body that can be empty, for the response that accepts a handshake. Every [`Body`] with `Default` implements this trait.
///
/// A layer between this one and the service may have a body without `Default`. Put that layer outside of this one, or turn its body into
/// one that can be empty. For example, use tower-http's `MapResponseBodyLayer` and `axum::body::Body::new`.
#[diagnostic::on_unimplemented(
    message = "the body `{Self}` has no empty form, which the answer that accepts a WebSocket handshake needs",
    note = "a layer inside `WsHandshakeLayer` has changed the body: put that layer outside of it, or map its body into \
            one that is `Default`, for example with `tower_http::map_response_body::MapResponseBodyLayer`"
)]
pub trait EmptyBody: Body + Default {}

#[diagnostic::do_not_recommend]
impl<B: Body + Default> EmptyBody for B {}

/// Writes the response to a [`Rejection`].
///
/// [`DefaultRejectionResponse`] implements this trait, and so do functions from `&Rejection` to a response. The trait is sealed: give
/// [`rejection_response`](crate::WsHandshakeLayer::rejection_response) a function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot write a refusal with the body `{B}`",
    note = "if a layer inside `WsHandshakeLayer` has changed the body, as `TraceLayer` does, put that layer outside or map \
            its body; if the body is your own, give `WsHandshakeLayer` a `rejection_response`: the default refusal needs \
            a body that is `From<&'static str>`"
)]
pub trait RejectionResponse<B>: Sealed<B> {
    /// Returns the response. The layer adds the required headers, and replaces a status below 400.
    fn respond(&self, rejection: &Rejection) -> Response<B>;
}

/// Answers with the rejection's status, and its reason as plain text.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultRejectionResponse;

impl<B: From<&'static str>> RejectionResponse<B> for DefaultRejectionResponse {
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        rejection.response()
    }
}

impl<B: From<&'static str>> Sealed<B> for DefaultRejectionResponse {}

impl<F, B> Sealed<B> for F where F: Fn(&Rejection) -> Response<B> {}

/// Makes the trait sealed.
mod sealed {
    #[expect(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Sealed<B> {}
}

impl<F, B> RejectionResponse<B> for F
where
    F: Fn(&Rejection) -> Response<B>,
{
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        self(rejection)
    }
}

/// Builds the response to a rejection, with all required headers, and reports the rejection.
pub(super) fn refuse<R: RejectionResponse<B>, B>(
    respond: &R, rejection: Rejection, head: RequestHead<'_>,
) -> Response<B> {
    report::handshake_refused(&rejection, head);
    rejection_response(respond, rejection)
}

/// Does the same as [`refuse`] for a rejection that was already reported.
pub(super) fn rejection_response<R: RejectionResponse<B>, B>(respond: &R, rejection: Rejection) -> Response<B> {
    let mut response = respond.respond(&rejection);
    if response.status().as_u16() < 400 {
        *response.status_mut() = rejection.status();
    }
    rejection.write_owed_fields(response.headers_mut());
    response.extensions_mut().insert(rejection);
    response
}

/// Whether another extractor accepts the handshake with this response, which does not have this crate's mark.
///
/// `taken` says that a handler has taken the handshake, so that no other extractor can accept it.
pub(super) fn is_foreign_acceptance<B: Body>(response: &Response<B>, over_http1: bool, taken: bool) -> bool {
    if over_http1 {
        response.status() == StatusCode::SWITCHING_PROTOCOLS
    } else {
        response.status() == StatusCode::OK && !taken && !speaks_of_content(response)
    }
}

/// Fixes a response that accepts nothing, so that it opens no socket and closes the connection.
pub(super) fn close_unaccepted<B: Body>(id: ConnectionId, response: &mut Response<B>, over_http1: bool) {
    let status = response.status();
    if over_http1 {
        events::not_accepted(id, status.as_u16());
        return close(response);
    }
    // RFC 9113 §8.5: a 2xx accepts a `CONNECT`, which no page means to do. §8.6: HTTP/2 has no 101.
    let instead = match status {
        StatusCode::SWITCHING_PROTOCOLS => StatusCode::INTERNAL_SERVER_ERROR,
        _ if status.is_success() => StatusCode::NOT_ACCEPTABLE,
        StatusCode::METHOD_NOT_ALLOWED => return events::connect_not_routed(id),
        _ => return events::not_accepted(id, status.as_u16()),
    };
    events::accepts_nothing(id, status.as_u16(), instead.as_u16());
    *response.status_mut() = instead;
    if response.body().is_end_stream() {
        // This may be the length of a body that axum removed.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Makes a response the last one of its connection.
///
/// Bytes that the client sent after its handshake were meant for a WebSocket. Read as HTTP, these bytes would be a second request that a
/// proxy in front never saw.
fn close<B>(response: &mut Response<B>) {
    // RFC 9112 §9.6: "A server that sends a "close" connection option MUST initiate closure of the connection".
    // hyper ignores a line with other bytes than visible ASCII.
    let closes = |line: &HeaderValue| line.to_str().is_ok() && lists(line, "close");
    if !response.headers().get_all(CONNECTION).iter().any(closes) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether there is a body, or was one: axum removes the body of a 2xx to `CONNECT`, and leaves its headers.
fn speaks_of_content<B: Body>(response: &Response<B>) -> bool {
    const FIELDS: [HeaderName; 9] = [
        ACCEPT_RANGES,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LOCATION,
        CONTENT_RANGE,
        CONTENT_TYPE,
        ETAG,
        LAST_MODIFIED,
    ];
    let headers = response.headers();
    !response.body().is_end_stream()
        || FIELDS.iter().any(|name| headers.contains_key(name))
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}
