//! The target of an extended `CONNECT`: `:protocol`, which hyper keeps outside the head of the request (RFC 8441 §4).

use http::{Extensions, Method};

/// Returns the value of `:protocol`, or an empty string for a `CONNECT` without one. Returns `None` for other methods, and if this crate
/// was built without `http2`.
#[cfg(feature = "http2")]
pub(super) fn protocol<'a>(method: &Method, extensions: &'a Extensions) -> Option<&'a str> {
    use hyper::ext::Protocol;
    (*method == Method::CONNECT).then(|| extensions.get::<Protocol>().map_or("", Protocol::as_str))
}

#[cfg(not(feature = "http2"))]
pub(super) fn protocol(_: &Method, _: &Extensions) -> Option<&'static str> {
    None
}
