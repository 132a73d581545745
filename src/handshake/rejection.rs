//! Every reason to refuse a handshake, with its status and headers.

#[cfg(feature = "tower")]
use std::time::Duration;
use std::{
    error::Error,
    fmt,
    hash::{BuildHasher, RandomState},
};

use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Version,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
        X_CONTENT_TYPE_OPTIONS,
    },
};

/// Why a handshake is refused, and the answer to send.
///
/// The layer puts the `Rejection` into the extensions of every response that refuses, even if other code wrote the body. `Display` gives a
/// short, static reason, which never repeats what the peer sent.
///
/// ```
/// use ws_handshake::handshake::{ClientHandshake, RejectionKind};
///
/// let request = http::Request::get("/chat")
///     .header("host", "example.com")
///     .header("connection", "upgrade")
///     .header("upgrade", "websocket")
///     .header("sec-websocket-version", "8")
///     .body(())?;
/// let rejection = ClientHandshake::from_request(&request).unwrap_err();
/// assert_eq!(rejection.kind(), RejectionKind::VersionUnsupported);
///
/// let response = rejection.response::<&str>();
/// assert_eq!(response.status(), 426);
/// assert_eq!(response.headers()["sec-websocket-version"], "13");
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    over_http1: bool,
    /// In seconds, if known.
    retry_after: Option<u32>,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind, version: Version) -> Self {
        Self { kind, over_http1: version < Version::HTTP_2, retry_after: None }
    }

    /// Same as [`new`](Self::new), if the time after which the peer may try again is known.
    #[cfg(feature = "tower")]
    pub(crate) fn retry_after(kind: RejectionKind, version: Version, wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1);
        Self { retry_after: Some(seconds), ..Self::new(kind, version) }
    }

    /// Which rule the request broke.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The status of the answer: 4xx for the peer's faults, 5xx for the server's.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            // RFC 9110 §7.8: there is no `Upgrade` over HTTP/2, so 426 cannot say what to upgrade to.
            RejectionKind::VersionUnsupported | RejectionKind::HandshakeMissing if !self.over_http1 => {
                StatusCode::BAD_REQUEST
            }
            kind => kind.rule().0,
        }
    }

    /// The complete answer: status, required headers, and the reason as plain text.
    ///
    /// Over HTTP/1.1, the answer to a handshake closes the connection. Bytes after the handshake were meant for a WebSocket, and must not
    /// be served as HTTP.
    #[must_use]
    pub fn response<B: From<&'static str>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.kind.rule().1));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.write_owed_fields(headers);
        response
    }

    /// Writes the required headers, for an answer with any body.
    pub(crate) fn write_owed_fields(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.kind {
            RejectionKind::MethodInvalid => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            RejectionKind::VersionMissing | RejectionKind::VersionRepeated | RejectionKind::VersionUnsupported => {
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            RejectionKind::DecisionTimedOut | RejectionKind::AnswerTimedOut => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            RejectionKind::ServerDraining | RejectionKind::ConnectionLimitReached | RejectionKind::KeyLimitReached => {
                headers.insert(RETRY_AFTER, HeaderValue::from(5 + random() % 11));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if !self.over_http1 {
            // RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields."
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
            return;
        }
        let connection = match self.kind {
            RejectionKind::VersionUnsupported | RejectionKind::HandshakeMissing => {
                // RFC 9110 §15.5.22: a 426 "MUST send an Upgrade header field"; §7.8: and list it in `Connection`.
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                // If the request was not a handshake, the bytes after it are HTTP, so the connection stays open.
                if self.kind == RejectionKind::HandshakeMissing { "upgrade" } else { "upgrade, close" }
            }
            _ => "close",
        };
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
    }
}

/// A number that differs from call to call, so clients that are refused together do not return together.
fn random() -> u16 {
    let hash = RandomState::new().hash_one(());
    let [first, second, ..] = hash.to_ne_bytes();
    u16::from_ne_bytes([first, second])
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.rule().1)
    }
}

impl Error for Rejection {}

/// The rejection that a policy would have made without `report_only`.
///
/// [`report_only`](crate::Policy::report_only) lets such a handshake through, and puts this into the extensions of the response.
/// `ReportedRejection` is a separate type, so code that looks for a [`Rejection`] there finds none.
///
/// ```
/// use http::Response;
/// use ws_handshake::ReportedRejection;
///
/// fn count<B>(response: &Response<B>) {
///     if let Some(reported) = response.extensions().get::<ReportedRejection>() {
///         println!("would be refused: {reported}");
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedRejection(Rejection);

impl ReportedRejection {
    pub(crate) fn new(rejection: Rejection) -> Self {
        Self(rejection)
    }

    /// Which rule the request broke.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.0.kind
    }
}

impl fmt::Display for ReportedRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $reason:literal;)*) => {
        /// The rules that a request can break, in the order in which they are checked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionKind {
            $($(#[$doc])* $kind,)*
        }

        impl RejectionKind {
            /// The name of the kind, such as `OriginNotAllowed`, for logs, metrics and tests in other languages. Names are stable: the
            /// guide lists them.
            ///
            /// ```
            /// use ws_handshake::RejectionKind;
            ///
            /// assert_eq!(RejectionKind::OriginNotAllowed.as_str(), "OriginNotAllowed");
            /// ```
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }

            /// The status over HTTP/1.1, and the reason given to the peer.
            const fn rule(self) -> (StatusCode, &'static str) {
                match self {
                    $(Self::$kind => (StatusCode::$status, $reason),)*
                }
            }
        }
    };
}

kinds! {
    /// The request has WebSocket headers and could upgrade, but asks for something else (400).
    UpgradeInvalid = BAD_REQUEST, "the request has WebSocket headers, but does not ask for `websocket`";
    /// The request asks for a WebSocket over HTTP/1.0. Proxies do this unless they are configured for HTTP/1.1 (400, RFC 6455 §4.2.1).
    HttpVersionUnsupported = BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1 or higher";
    /// A `CONNECT` over HTTP/2 with WebSocket headers, while the feature `http2` is off (501).
    ExtendedConnectUnsupported = NOT_IMPLEMENTED, "WebSockets over HTTP/2 are not enabled on this server";
    /// A `CONNECT` over HTTP/3 with WebSocket headers, and a `:protocol` other than `websocket` (501, RFC 9220 §3).
    ProtocolUnsupported = NOT_IMPLEMENTED, "`:protocol` is not `websocket`";
    /// The method is not `GET` (HTTP/1.1; 405, RFC 6455 §4.2.1).
    MethodInvalid = METHOD_NOT_ALLOWED, "a WebSocket handshake must be a `GET` request";
    /// No `Host`, or over HTTP/2 no `:authority` (400, RFC 9112 §3.2).
    AuthorityMissing = BAD_REQUEST, "the request names no host";
    /// More than one `Host` (400, RFC 9112 §3.2).
    AuthorityRepeated = BAD_REQUEST, "`Host` is sent more than once";
    /// `Host`, `:authority` or the target is not a host with an optional port (400, RFC 9112 §3.2).
    AuthorityInvalid = BAD_REQUEST, "the request names a malformed host";
    /// `Host` and the target name different authorities (400).
    AuthorityMismatched = BAD_REQUEST, "`Host` and the request's target disagree";
    /// `Content-Length` or `Transfer-Encoding` announces a body. Over HTTP/2, a `Content-Length` of 0 does too (400).
    BodyAnnounced = BAD_REQUEST, "a WebSocket handshake has no body, and over HTTP/2 no `Content-Length`";
    /// `Connection` lists no `upgrade` token (HTTP/1.1; 400, RFC 6455 §4.2.1).
    ConnectionInvalid = BAD_REQUEST, "`Connection` does not list `upgrade`";
    /// No `Sec-WebSocket-Version` (400, RFC 6455 §4.2.1).
    VersionMissing = BAD_REQUEST, "`Sec-WebSocket-Version` is missing";
    /// More than one `Sec-WebSocket-Version` (400, RFC 6455 §11.3.5).
    VersionRepeated = BAD_REQUEST, "`Sec-WebSocket-Version` is sent more than once";
    /// `Sec-WebSocket-Version` is not 13 (426, or 400 over HTTP/2; RFC 6455 §4.4).
    VersionUnsupported = UPGRADE_REQUIRED, "`Sec-WebSocket-Version` must be 13";
    /// No `Sec-WebSocket-Key` (HTTP/1.1; 400, RFC 6455 §4.2.1).
    KeyMissing = BAD_REQUEST, "`Sec-WebSocket-Key` is missing";
    /// More than one `Sec-WebSocket-Key` (HTTP/1.1; 400, RFC 6455 §11.3.1).
    KeyRepeated = BAD_REQUEST, "`Sec-WebSocket-Key` is sent more than once";
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes (HTTP/1.1; 400, RFC 6455 §4.2.1).
    KeyInvalid = BAD_REQUEST, "`Sec-WebSocket-Key` is not the base64 of 16 bytes";
    /// The peer tries too often (429, RFC 6585 §4).
    RateLimitReached = TOO_MANY_REQUESTS, "you try to connect too often";
    /// The server takes no more connections, because it is about to stop (503).
    ServerDraining = SERVICE_UNAVAILABLE, "this server is about to stop";
    /// The peer has as many connections as its limit allows (429, RFC 6585 §4).
    KeyLimitReached = TOO_MANY_REQUESTS, "you have too many connections open";
    /// As many connections are open as the limit allows (503).
    ConnectionLimitReached = SERVICE_UNAVAILABLE, "too many connections are open";
    /// The request names a host that is not one of this server's (403).
    HostNotAllowed = FORBIDDEN, "this host is not served here";
    /// More than one `Origin` (400, RFC 6454 §7.3).
    OriginRepeated = BAD_REQUEST, "`Origin` is sent more than once";
    /// `Origin` is not a serialized origin (400, RFC 6454 §7.1).
    OriginInvalid = BAD_REQUEST, "`Origin` is not a serialized origin";
    /// No `Origin`, but the policy requires one (403).
    OriginMissing = FORBIDDEN, "`Origin` is required here";
    /// No `Origin`, but `Sec-Fetch-Site` shows a page of another site (403).
    SiteNotAllowed = FORBIDDEN, "a page of another site may not connect without an `Origin`";
    /// Pages of this origin may not connect (403, RFC 6455 §4.2.2).
    OriginNotAllowed = FORBIDDEN, "pages of this origin may not connect";
    /// `Sec-WebSocket-Protocol` is not a list of tokens (400, RFC 6455 §4.1).
    SubprotocolInvalid = BAD_REQUEST, "`Sec-WebSocket-Protocol` is not a list of tokens";
    /// `Sec-WebSocket-Protocol` lists a name twice (400, RFC 6455 §4.1).
    SubprotocolRepeated = BAD_REQUEST, "`Sec-WebSocket-Protocol` offers a subprotocol twice";
    /// `Sec-WebSocket-Protocol` lists more than 32 names (400).
    SubprotocolsTooMany = BAD_REQUEST, "`Sec-WebSocket-Protocol` offers too many subprotocols";
    /// `Sec-WebSocket-Extensions` is not a list of extensions (400, RFC 6455 §9.1).
    ExtensionInvalid = BAD_REQUEST, "`Sec-WebSocket-Extensions` is malformed";
    /// `Sec-WebSocket-Extensions` lists more than 32 offers (400).
    ExtensionsTooMany = BAD_REQUEST, "`Sec-WebSocket-Extensions` makes too many offers";
    /// A subprotocol is required, but none of the offered ones is known (400).
    SubprotocolNotShared = BAD_REQUEST, "none of the subprotocols known here is offered";
    /// An asynchronous predicate did not decide in time (503).
    DecisionTimedOut = SERVICE_UNAVAILABLE, "the decision took too long";
    /// The handler did not answer in time (503).
    AnswerTimedOut = SERVICE_UNAVAILABLE, "the answer took too long";
    /// The server gave the request no way to upgrade, such as in a test without a connection (500).
    UpgradeUnsupported = INTERNAL_SERVER_ERROR, "this server cannot upgrade connections: serve with hyper, with upgrades";
    /// A handler takes a WebSocket, but the request is not a handshake (426, or 400 over HTTP/2).
    HandshakeMissing = UPGRADE_REQUIRED, "this resource speaks WebSocket only";
    /// A handler takes a handshake that no layer has decided (500).
    LayerMissing = INTERNAL_SERVER_ERROR, "no `WsHandshakeLayer` has seen this handshake: add one after this route, or move it there";
    /// A handler takes a `ConnectionPermit`, but the layer has no `connections` (500).
    ConnectionsMissing = INTERNAL_SERVER_ERROR, "no `Connections` count this handshake: set them with `WsHandshakeLayer::connections`";
    /// A handler takes a permit that was extracted before, or that its stream holds (500).
    PermitTaken = INTERNAL_SERVER_ERROR, "the permit of this handshake was extracted before, or its stream holds it";
    /// A handler takes a handshake that was extracted before (500).
    UpgradeTaken = INTERNAL_SERVER_ERROR, "this handshake was extracted before: extract `WsUpgrade` or `WsStream` once";
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWED: [http::HeaderName; 5] = [ALLOW, CONNECTION, UPGRADE, SEC_WEBSOCKET_VERSION, CACHE_CONTROL];

    #[test]
    fn a_refusal_has_the_status_and_the_headers_that_it_owes() {
        use RejectionKind as K;
        #[rustfmt::skip]
        let rows = [
            (K::KeyMissing, Version::HTTP_11, 400, [None, Some("close"), None, None, Some("no-store")]),
            (K::MethodInvalid, Version::HTTP_11, 405, [Some("GET"), Some("close"), None, None, Some("no-store")]),
            (K::VersionMissing, Version::HTTP_11, 400, [None, Some("close"), None, Some("13"), Some("no-store")]),
            (K::VersionRepeated, Version::HTTP_2, 400, [None, None, None, Some("13"), Some("no-store")]),
            (K::VersionUnsupported, Version::HTTP_11, 426, [None, Some("upgrade, close"), Some("websocket"), Some("13"), Some("no-store")]),
            (K::VersionUnsupported, Version::HTTP_2, 400, [None, None, None, Some("13"), Some("no-store")]),
            (K::HandshakeMissing, Version::HTTP_10, 426, [None, Some("upgrade"), Some("websocket"), None, Some("no-store")]),
            (K::HandshakeMissing, Version::HTTP_2, 400, [None, None, None, None, Some("no-store")]),
        ];
        for (kind, version, status, owed) in rows {
            let rejection = Rejection::new(kind, version);
            let response = rejection.response::<&str>();
            let value = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), OWED.map(value)), (status, owed), "{kind:?} over {version:?}");
            assert_eq!(
                (*response.body(), ReportedRejection::new(rejection.clone()).to_string()),
                (kind.rule().1, rejection.to_string())
            );
            assert_eq!(rejection.to_string(), kind.rule().1);
        }
    }

    #[cfg(feature = "tower")]
    #[test]
    fn a_wait_that_is_known_is_told_in_whole_seconds() {
        let rows = [
            (Duration::ZERO, "1"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_secs(1), "1"),
            (Duration::new(1, 1), "2"),
            (Duration::MAX, "4294967295"),
        ];
        for (wait, seconds) in rows {
            let rejection = Rejection::retry_after(RejectionKind::RateLimitReached, Version::HTTP_11, wait);
            assert_eq!(rejection.response::<&str>().headers()[RETRY_AFTER], seconds, "{wait:?}");
        }
    }

    #[test]
    fn clients_that_are_refused_together_do_not_return_together() {
        use RejectionKind as K;
        let seconds = |kind| -> u16 {
            let response = Rejection::new(kind, Version::HTTP_11).response::<&str>();
            response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap()
        };
        assert_eq!(seconds(K::DecisionTimedOut), 5);
        for kind in [K::ServerDraining, K::ConnectionLimitReached, K::KeyLimitReached] {
            let all: std::collections::BTreeSet<_> = (0..500).map(|_| seconds(kind)).collect();
            assert_eq!(all, (5..=15).collect(), "{kind:?}");
        }
        assert!(
            !Rejection::new(K::KeyMissing, Version::HTTP_11).response::<&str>().headers().contains_key(RETRY_AFTER)
        );
    }
}
