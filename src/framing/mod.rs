//! Gives the upgraded stream to a framing library: one file and one feature for each library.

#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
mod deflate_agreed;
#[cfg(feature = "fastwebsockets")]
mod fastwebsockets;
#[cfg(feature = "tokio-websockets")]
mod tokio_websockets;
#[cfg(feature = "tungstenite")]
mod tungstenite;
#[cfg(feature = "yawc")]
mod yawc;

#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub use self::deflate_agreed::DeflateAgreed;
