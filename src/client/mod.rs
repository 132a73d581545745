//! The client's handshake, over any IO (RFC 6455 §4.1, RFC 8441 §5).

mod answer;
mod conclude;
mod error;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod request;

#[cfg(feature = "http2")]
pub use self::http2::connect_http2;
pub use self::{
    error::{ClientError, ClientErrorKind},
    request::WsRequest,
};
