//! What a request asks for: the client's half of the handshake (RFC 6455 §4.2.1, RFC 8441 §5).

use http::{
    HeaderMap, Method, Request, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
    uri::Scheme,
};

use super::{
    authority::Authority,
    grammar::lists,
    key::Key,
    origin::default_port,
    rejection::{Rejection, RejectionKind},
};

/// A client's opening handshake, read by the letter of the RFCs.
///
/// Holding one means that the request is a `GET` that upgrades to `websocket` over HTTP/1.1, or an extended `CONNECT` for
/// it over HTTP/2; that it names one well-formed host and announces no body; that it speaks version 13; and, over
/// HTTP/1.1, that it bears one valid key. Whether its client may connect, and what is spoken, is for a
/// [`Policy`](crate::Policy) to decide.
///
/// ```
/// use ws_handshake::handshake::ClientHandshake;
///
/// let request = http::Request::get("/chat")
///     .header("host", "example.com")
///     .header("connection", "keep-alive, Upgrade")
///     .header("upgrade", "websocket")
///     .header("sec-websocket-version", "13")
///     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .body(())?;
/// let client = ClientHandshake::from_request(&request)?.expect("it asks for a WebSocket");
/// assert_eq!(client.authority().host(), "example.com");
///
/// let page = http::Request::get("/").header("host", "example.com").body(())?;
/// assert!(ClientHandshake::from_request(&page)?.is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    version: Version,
    authority: Authority,
    over_https: bool,
    key: Option<Key>,
}

impl ClientHandshake {
    /// Reads the head of a request; `None` for one that does not ask for a WebSocket.
    ///
    /// A `CONNECT` over HTTP/2 keeps its `:protocol` outside these parts: where it is known, use
    /// [`from_extended_connect`](Self::from_extended_connect).
    ///
    /// # Errors
    ///
    /// The first rule that the handshake breaks, in the order of [`RejectionKind`]. So is a request that bears
    /// WebSocket fields and that a server could upgrade, although it is no handshake: code that looks only at those
    /// fields would take it for one.
    pub fn from_parts(parts: &Parts) -> Result<Option<Self>, Rejection> {
        Head::from(parts).read(None)
    }

    /// As [`from_parts`](Self::from_parts), from a whole request.
    ///
    /// # Errors
    ///
    /// As [`from_parts`](Self::from_parts).
    pub fn from_request<B>(request: &Request<B>) -> Result<Option<Self>, Rejection> {
        Head::from(request).read(None)
    }

    /// Reads the head of an extended `CONNECT` whose `:protocol` is `protocol` (RFC 8441 §4); `None` if that is not
    /// `websocket`, in any case.
    ///
    /// `Sec-WebSocket-Key` is ignored there: proxies leave it in when they turn HTTP/1.1 into HTTP/2.
    ///
    /// # Errors
    ///
    /// As [`from_parts`](Self::from_parts).
    pub fn from_extended_connect(parts: &Parts, protocol: &str) -> Result<Option<Self>, Rejection> {
        Head::from(parts).read(Some(protocol))
    }

    /// The host and port that the client named.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The key to be answered; `None` over HTTP/2, where there is none.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The version of HTTP that the handshake came by.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the request itself says that it came by https. Behind a proxy that ends TLS it does not.
    pub(crate) fn over_https(&self) -> bool {
        self.over_https
    }
}

/// The parts of a request's head that a handshake is read from.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    /// Whether the request asks for a WebSocket, well or badly.
    pub(crate) fn asks_for_websocket(self) -> bool {
        self.asks(None)
    }

    pub(crate) fn reject(self, kind: RejectionKind) -> Rejection {
        Rejection::new(kind, self.version)
    }

    fn asks(self, protocol: Option<&str>) -> bool {
        if self.version >= Version::HTTP_2 {
            // RFC 8441 §5: a `CONNECT` with `:protocol` set to `websocket`.
            let websocket = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
            return websocket && *self.method == Method::CONNECT;
        }
        // RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
        self.version == Version::HTTP_11 && lists(self.headers.get_all(UPGRADE), "websocket")
    }

    fn read(self, protocol: Option<&str>) -> Result<Option<ClientHandshake>, Rejection> {
        if !self.headers.contains_key(UPGRADE) && *self.method != Method::CONNECT {
            return Ok(None);
        }
        let read =
            if self.asks(protocol) { self.handshake().map(Some) } else { self.anything_else(protocol).map(|()| None) };
        read.map_err(|kind| self.reject(kind))
    }

    /// A request that a server could upgrade, though not to a WebSocket by these rules.
    ///
    /// Extractors that look at the WebSocket fields alone would take it for a handshake that was let through.
    fn anything_else(self, protocol: Option<&str>) -> Result<(), RejectionKind> {
        let disguised =
            self.headers.contains_key(SEC_WEBSOCKET_VERSION) || self.headers.contains_key(SEC_WEBSOCKET_KEY);
        if !disguised {
            return Ok(());
        }
        // Without the value of `:protocol` this may well be a handshake that the server was not built to read.
        let unread = *self.method == Method::CONNECT && self.version >= Version::HTTP_2 && protocol.is_none();
        Err(if unread { RejectionKind::ExtendedConnectUnsupported } else { RejectionKind::UpgradeInvalid })
    }

    fn handshake(self) -> Result<ClientHandshake, RejectionKind> {
        let over_http1 = self.version < Version::HTTP_2;
        // RFC 6455 §4.2.1: "An HTTP/1.1 or higher GET request".
        if over_http1 && *self.method != Method::GET {
            return Err(RejectionKind::MethodInvalid);
        }
        let authority = self.authority()?;
        if over_http1 {
            if self.announces_body() {
                return Err(RejectionKind::BodyAnnounced);
            }
            // RFC 6455 §4.2.1: "A |Connection| header field that includes the token "Upgrade"".
            if !lists(self.headers.get_all(CONNECTION), "upgrade") {
                return Err(RejectionKind::ConnectionInvalid);
            }
        }
        self.check_version()?;
        // RFC 8441 §5.1: "Sec-WebSocket-Key and Sec-WebSocket-Accept header fields are not used".
        let key = if over_http1 { Some(Key::from_headers(self.headers)?) } else { None };
        Ok(ClientHandshake {
            version: self.version,
            authority,
            over_https: self.uri.scheme() == Some(&Scheme::HTTPS),
            key,
        })
    }

    /// RFC 9112 §3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any request message that
    /// contains more than one Host header field line or a Host header field with an invalid field value".
    fn authority(self) -> Result<Authority, RejectionKind> {
        let mut lines = self.headers.get_all(HOST).iter();
        let field = lines.next();
        if lines.next().is_some() {
            return Err(RejectionKind::AuthorityRepeated);
        }
        let target = self.uri.authority();
        let parse = |authority: Option<Authority>| authority.ok_or(RejectionKind::AuthorityInvalid);
        match (field, target) {
            (Some(field), None) if self.version < Version::HTTP_2 => parse(Authority::from_host_field(field)),
            (None, Some(target)) if self.version >= Version::HTTP_2 => parse(Authority::from_uri(target)),
            (Some(field), Some(target)) => {
                let (field, target) = (parse(Authority::from_host_field(field))?, parse(Authority::from_uri(target))?);
                // A server that reads the one and a proxy that read the other would speak of different hosts.
                if !field.agrees_with(&target, self.uri.scheme_str().and_then(default_port)) {
                    return Err(RejectionKind::AuthorityMismatched);
                }
                Ok(field)
            }
            _ => Err(RejectionKind::AuthorityMissing),
        }
    }

    fn announces_body(self) -> bool {
        let no_length =
            |value: &http::HeaderValue| !value.is_empty() && value.as_bytes().iter().all(|digit| *digit == b'0');
        self.headers.contains_key(TRANSFER_ENCODING) || !self.headers.get_all(CONTENT_LENGTH).iter().all(no_length)
    }

    fn check_version(self) -> Result<(), RejectionKind> {
        let mut lines = self.headers.get_all(SEC_WEBSOCKET_VERSION).iter();
        let line = lines.next().ok_or(RejectionKind::VersionMissing)?;
        if lines.next().is_some() {
            // RFC 6455 §11.3.5: "MUST NOT appear more than once in an HTTP request".
            return Err(RejectionKind::VersionRepeated);
        }
        // RFC 6455 §4.2.1: "A |Sec-WebSocket-Version| header field, with a value of 13".
        if line == "13" { Ok(()) } else { Err(RejectionKind::VersionUnsupported) }
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, version: parts.version, headers: &parts.headers }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), version: request.version(), headers: request.headers() }
    }
}

#[cfg(test)]
mod tests;
