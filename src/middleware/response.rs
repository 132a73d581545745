//! The answers that are not the handler's: acceptances, refusals, and how every other one leaves.

use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    },
};
use hyper::body::Body;

use super::observe;
use crate::handshake::{Rejection, grammar::lists};

/// A body that can be empty: that of the answer that accepts a handshake. Every [`Body`] that is `Default` is one.
///
/// Where a layer between this one and the service has a body without `Default`, put it outside this layer, or turn its
/// body into one that has an empty form, for example by tower-http's `MapResponseBodyLayer` and `axum::body::Body::new`.
#[diagnostic::on_unimplemented(
    message = "the body `{Self}` has no empty form, which the answer that accepts a WebSocket handshake needs",
    note = "a layer inside `WsHandshakeLayer` has changed the body: put that layer outside of it, or map its body into \
            one that is `Default`, for example with `tower_http::map_response_body::MapResponseBodyLayer`"
)]
pub trait EmptyBody: Body + Default {}

#[diagnostic::do_not_recommend]
impl<B: Body + Default> EmptyBody for B {}

/// Writes the answer to a [`Rejection`].
///
/// It is implemented by functions from `&Rejection` to a response, and by [`DefaultRejectionResponse`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot write a refusal with the body `{B}`",
    note = "if a layer inside `WsHandshakeLayer` has changed the body, as `TraceLayer` does, put that layer outside or map \
            its body; if the body is your own, give `WsHandshakeLayer` a `rejection_response`: the default refusal needs \
            a body that is `From<&'static str>`"
)]
pub trait RejectionResponse<B> {
    /// The answer. The layer adds the fields that the refusal owes, and replaces a status below 400.
    fn respond(&self, rejection: &Rejection) -> Response<B>;
}

/// Answers with the status of the rejection and its reason as plain text.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultRejectionResponse;

impl<B: From<&'static str>> RejectionResponse<B> for DefaultRejectionResponse {
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        rejection.response()
    }
}

impl<F, B> RejectionResponse<B> for F
where
    F: Fn(&Rejection) -> Response<B>,
{
    fn respond(&self, rejection: &Rejection) -> Response<B> {
        self(rejection)
    }
}

/// The answer to a rejection, with all that it owes, whoever wrote it.
pub(super) fn refuse<R: RejectionResponse<B>, B>(respond: &R, rejection: Rejection) -> Response<B> {
    let mut response = respond.respond(&rejection);
    if response.status().as_u16() < 400 {
        *response.status_mut() = rejection.status();
    }
    rejection.write_owed_fields(response.headers_mut());
    response.extensions_mut().insert(rejection);
    response
}

/// Makes an answer that is not the layer's own acceptance leave properly, whoever wrote it.
///
/// `taken` says that a handler has had the handshake, so that nobody else's extractor accepts it.
pub(super) fn leave<B: Body>(response: &mut Response<B>, over_http1: bool, taken: bool) {
    let status = response.status();
    if over_http1 {
        // A 101 without our mark is that of somebody else's extractor.
        if status != StatusCode::SWITCHING_PROTOCOLS {
            observe::not_accepted(status);
            close(response);
        }
        return;
    }
    // RFC 9113 §8.5: a 2xx accepts a `CONNECT`, which no page means to do. §8.6: HTTP/2 has no 101.
    let instead = match status {
        StatusCode::SWITCHING_PROTOCOLS => StatusCode::INTERNAL_SERVER_ERROR,
        // The acceptance of somebody else's extractor.
        StatusCode::OK if !taken && !speaks_of_content(response) => return,
        _ if status.is_success() => StatusCode::NOT_ACCEPTABLE,
        StatusCode::METHOD_NOT_ALLOWED => return observe::connect_not_routed(),
        _ => return observe::not_accepted(status),
    };
    observe::accepts_nothing(status, instead);
    *response.status_mut() = instead;
    if response.body().is_end_stream() {
        // It may be the length of a body that axum took.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Makes an answer the last one of its connection.
///
/// What the client sent behind its handshake was meant for a WebSocket: read as HTTP it would be a second request, which
/// a proxy in front never saw as one.
fn close<B>(response: &mut Response<B>) {
    // RFC 9112 §9.6: "A server that sends a "close" connection option MUST initiate closure of the connection".
    // hyper does not read a line that is no visible ASCII.
    let closes = |line: &HeaderValue| line.to_str().is_ok() && lists(line, "close");
    if !response.headers().get_all(CONNECTION).iter().any(closes) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether there is a body, or was one: axum takes that of a 2xx to `CONNECT` and leaves its fields.
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
