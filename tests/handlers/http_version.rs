//! Both versions of HTTP.

use axum::Router;
use http::StatusCode;
use ws_handshake::testing::{TestRequest, TestServer};

/// Which version of HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Over {
    Http1,
    Http2,
}

impl Over {
    pub(crate) const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// A handshake for `path` on `example.com`, of no browser.
    pub(crate) fn ask(self, server: &TestServer<Router>, path: &str) -> TestRequest<Router> {
        let asked = server.ws(format!("ws://example.com{path}"));
        if self == Self::Http2 { asked.http2() } else { asked }
    }

    /// The status that accepts a handshake.
    pub(crate) fn accepted(self) -> StatusCode {
        self.pick(StatusCode::SWITCHING_PROTOCOLS, StatusCode::OK)
    }

    /// What stands for something in each version.
    pub(crate) fn pick<T>(self, http1: T, http2: T) -> T {
        if self == Self::Http1 { http1 } else { http2 }
    }
}

/// Each form of handler, over each version of HTTP.
pub(crate) fn forms() -> impl Iterator<Item = (Over, &'static str)> {
    Over::ALL.into_iter().flat_map(|over| ["/straight", "/callback"].map(|path| (over, path)))
}
