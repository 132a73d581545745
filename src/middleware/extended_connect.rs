//! What an extended `CONNECT` asks for: `:protocol`, which hyper keeps beside the head of the request (RFC 8441 §4).

use http::{Extensions, Method};

/// The value of `:protocol`, empty where a `CONNECT` has none; `None` for other methods, and where this crate was not
/// built to read it.
#[cfg(feature = "http2")]
pub(super) fn protocol<'a>(method: &Method, extensions: &'a Extensions) -> Option<&'a str> {
    use hyper::ext::Protocol;
    (*method == Method::CONNECT).then(|| extensions.get::<Protocol>().map_or("", Protocol::as_str))
}

#[cfg(not(feature = "http2"))]
pub(super) fn protocol(_: &Method, _: &Extensions) -> Option<&'static str> {
    None
}
