//! Every way to be refused, with its status and the fields that it owes.

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

/// Why a handshake is refused, and what is answered.
///
/// The layer puts it into the extensions of every response that refuses, whoever wrote the body. Its `Display` is a
/// short, static reason: nothing that the peer sent is ever echoed.
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
    /// In seconds, where it is known.
    retry_after: Option<u32>,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind, version: Version) -> Self {
        Self { kind, over_http1: version < Version::HTTP_2, retry_after: None }
    }

    /// As [`new`](Self::new), where it is known when the peer may try again.
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

    /// The status of the answer: 4xx for the peer's faults, 5xx for the server's own.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            // RFC 9110 §7.8: there is no `Upgrade` over HTTP/2, so that 426 could not say what to upgrade to.
            RejectionKind::VersionUnsupported | RejectionKind::HandshakeMissing if !self.over_http1 => {
                StatusCode::BAD_REQUEST
            }
            kind => kind.rule().0,
        }
    }

    /// The whole answer: status, the fields owed, and the reason as plain text.
    ///
    /// Over HTTP/1.1 it closes the connection: whatever the client sent behind its handshake was meant for a WebSocket
    /// and is not served as HTTP.
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

    /// Writes the fields that the answer owes, whoever wrote its body.
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
                // A request that was no handshake promised nothing about the bytes behind it: its connection lives on.
                if self.kind == RejectionKind::HandshakeMissing { "upgrade" } else { "upgrade, close" }
            }
            _ => "close",
        };
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
    }
}

/// A number that differs from call to call, for clients that are refused together not to return together.
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

/// What a policy that only reports would have refused.
///
/// [`report_only`](crate::Policy::report_only) lets such a handshake through and puts this into the extensions of its
/// response. It is a type of its own so that whoever looks for a [`Rejection`] there finds none.
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
            /// The name of the kind, as in `OriginNotAllowed`: for logs, metrics and tests in other languages. Names are
            /// stable: the guide lists them.
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
    /// Bears WebSocket fields and could upgrade, yet asks for something else (400).
    UpgradeInvalid = BAD_REQUEST, "the request bears WebSocket fields, yet asks for something else than `websocket`";
    /// Asks for a WebSocket over HTTP/1.0, as a proxy does that was not told to speak HTTP/1.1 (400, RFC 6455 §4.2.1).
    HttpVersionUnsupported = BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1 or higher";
    /// A `CONNECT` over HTTP/2 with WebSocket fields, where the feature `http2` is off (501).
    ExtendedConnectUnsupported = NOT_IMPLEMENTED, "WebSockets over HTTP/2 are not enabled on this server";
    /// A `CONNECT` over HTTP/3 with WebSocket fields and another `:protocol` than `websocket` (501, RFC 9220 §3).
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
    /// A body is announced by `Content-Length` or `Transfer-Encoding`; over HTTP/2 also a `Content-Length` of 0 (400).
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
    /// The server takes no more connections, for it is about to stop (503).
    ServerDraining = SERVICE_UNAVAILABLE, "this server is about to stop";
    /// The peer has as many connections as it may have (429, RFC 6585 §4).
    KeyLimitReached = TOO_MANY_REQUESTS, "you have too many connections open";
    /// As many connections are open as there may be (503).
    ConnectionLimitReached = SERVICE_UNAVAILABLE, "too many connections are open";
    /// The host that the request names is not one of this server's (403).
    HostNotAllowed = FORBIDDEN, "this host is not served here";
    /// More than one `Origin` (400, RFC 6454 §7.3).
    OriginRepeated = BAD_REQUEST, "`Origin` is sent more than once";
    /// `Origin` is not a serialized origin (400, RFC 6454 §7.1).
    OriginInvalid = BAD_REQUEST, "`Origin` is not a serialized origin";
    /// No `Origin`, where the policy asks for one (403).
    OriginMissing = FORBIDDEN, "`Origin` is required here";
    /// No `Origin`, yet `Sec-Fetch-Site` shows a browser on another site (403).
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
    /// A subprotocol is required, and none that is offered is known (400).
    SubprotocolNotShared = BAD_REQUEST, "none of the subprotocols known here is offered";
    /// An asynchronous predicate did not decide in time (503).
    DecisionTimedOut = SERVICE_UNAVAILABLE, "the decision took too long";
    /// The handler did not answer in time (503).
    AnswerTimedOut = SERVICE_UNAVAILABLE, "the answer took too long";
    /// The server below gave the request no way to be upgraded, as in a test without a connection (500).
    UpgradeUnsupported = INTERNAL_SERVER_ERROR, "this server cannot upgrade connections: serve by hyper, with upgrades";
    /// A handler wants a WebSocket and the request is no handshake (426, or 400 over HTTP/2).
    HandshakeMissing = UPGRADE_REQUIRED, "this resource speaks WebSocket only";
    /// A handler wants a handshake that no layer has decided (500).
    LayerMissing = INTERNAL_SERVER_ERROR, "no `WsHandshakeLayer` has seen this handshake: add one behind this route, or move it there";
    /// A handler wants a `ConnectionPermit`, and the layer has no `connections` (500).
    ConnectionsMissing = INTERNAL_SERVER_ERROR, "no `Connections` count this handshake: give them to the `WsHandshakeLayer`";
    /// A handler wants a permit that was extracted before, or that its stream holds (500).
    PermitTaken = INTERNAL_SERVER_ERROR, "the permit of this handshake was extracted before, or its stream holds it";
    /// A handler wants a handshake that was handed out before (500).
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
