//! Reads the client's half of the handshake (RFC 6455 §4.2.1, RFC 8441 §5).

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};

#[cfg(feature = "tower")]
use super::http_version;
use super::{
    authority::Authority,
    extension,
    key::Key,
    origin::{Origin, default_port},
    rejection::{Rejection, RejectionKind},
};
use crate::grammar::{Lines, joined, lists};

/// A client's opening handshake, checked against the RFCs.
///
/// A `ClientHandshake` always comes from a request with these properties:
///
/// - It is a `GET` that upgrades to `websocket` over HTTP/1.1, or an extended `CONNECT` for `websocket` over HTTP/2.
/// - It names one well-formed host, announces no body, and asks for version 13.
/// - Over HTTP/1.1, it has exactly one valid key.
///
/// A [`Policy`](crate::Policy) decides whether the client may connect, and with which subprotocol and compression. The policy also refuses
/// a malformed origin or offer, in the order of its rules.
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
    origin: Result<Option<Origin>, RejectionKind>,
    subprotocols: Option<HeaderValue>,
    extensions: Result<(), RejectionKind>,
}

impl ClientHandshake {
    /// Reads the head of a request. Returns `None` if the request does not ask for a WebSocket.
    ///
    /// These parts do not contain the `:protocol` of a `CONNECT` over HTTP/2. If you know the `:protocol`, use
    /// [`from_extended_connect`](Self::from_extended_connect).
    ///
    /// # Errors
    ///
    /// The first rule that the handshake breaks, in the order of [`RejectionKind`], up to the rule for allowed hosts. The policy has that
    /// rule and all later ones.
    ///
    /// A request is also an error if it has WebSocket headers and a server could upgrade it, but it is not a handshake. Code that checks
    /// only these headers would take such a request for a handshake.
    #[inline]
    pub fn from_parts(parts: &Parts) -> Result<Option<Self>, Rejection> {
        RequestHead::from(parts).read(None)
    }

    /// Same as [`from_parts`](Self::from_parts), for a whole request.
    ///
    /// # Errors
    ///
    /// Same as [`from_parts`](Self::from_parts).
    #[inline]
    pub fn from_request<B>(request: &Request<B>) -> Result<Option<Self>, Rejection> {
        RequestHead::from(request).read(None)
    }

    /// Reads the head of an extended `CONNECT` whose `:protocol` is `protocol` (RFC 8441 §4). Returns `None` if `protocol` is not
    /// `websocket`, in upper or lower case.
    ///
    /// `Sec-WebSocket-Key` is ignored, because proxies leave it in when they turn HTTP/1.1 into HTTP/2.
    ///
    /// # Errors
    ///
    /// Same as [`from_parts`](Self::from_parts).
    pub fn from_extended_connect(parts: &Parts, protocol: &str) -> Result<Option<Self>, Rejection> {
        RequestHead::from(parts).read(Some(protocol))
    }

    /// The host and port that the client named.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The client's key, or `None` over HTTP/2, where there is no key.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The HTTP version of the request.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the request itself says that it came over `https`. Behind a proxy that ends TLS, the request does not say so.
    pub(crate) fn over_https(&self) -> bool {
        self.over_https
    }

    pub(crate) fn origin(&self) -> Result<Option<&Origin>, RejectionKind> {
        self.origin.as_ref().map(Option::as_ref).map_err(|kind| *kind)
    }

    /// All lines of `Sec-WebSocket-Protocol`, as sent.
    pub(crate) fn subprotocols(&self) -> Option<&HeaderValue> {
        self.subprotocols.as_ref()
    }

    pub(crate) fn extensions(&self) -> Result<(), RejectionKind> {
        self.extensions
    }
}

/// The one host that a request names. The request need not be a handshake.
///
/// # Errors
///
/// A [`Rejection`] (400, RFC 9112 §3.2) if:
///
/// - `Host`, or over HTTP/2 `:authority`, is missing, repeated or malformed
/// - `Host` and `:authority` disagree, or one of them disagrees with an absolute target
pub fn request_authority<B>(request: &Request<B>) -> Result<Authority, Rejection> {
    let head = RequestHead::from(request);
    head.authority(Fields::find(head.headers).host).map_err(|kind| head.reject(kind))
}

/// The parts of a request's head that a handshake is read from.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
}

impl RequestHead<'_> {
    /// Whether the request asks for a WebSocket, in a valid way or not. Also true if it has WebSocket headers, and a `:protocol` that
    /// nobody has read.
    #[cfg(any(feature = "tower", test))]
    pub(crate) fn asks_for_websocket(self, protocol: Option<&str>) -> bool {
        let fields = Fields::find(self.headers);
        self.asks(protocol, fields.upgrade_websocket) || self.is_unread(protocol) && fields.are_of_websocket()
    }

    pub(crate) fn reject(self, kind: RejectionKind) -> Rejection {
        Rejection::new(kind, self.version)
    }

    /// The HTTP version, as named in telemetry.
    #[cfg(feature = "tower")]
    pub(crate) fn http_version(&self) -> &'static str {
        http_version::name(self.version)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn method(&self) -> &Method {
        self.method
    }

    #[cfg(feature = "tower")]
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The host that the request names, if the host is well formed.
    #[cfg(feature = "tower")]
    pub(crate) fn named_authority(self) -> Option<Authority> {
        self.authority(Fields::find(self.headers).host).ok()
    }

    /// The origin of the page that sent the request, if the origin is well formed.
    #[cfg(feature = "tower")]
    pub(crate) fn named_origin(self) -> Option<Origin> {
        Origin::from_value(self.headers.get(ORIGIN)?)
    }

    fn asks(self, protocol: Option<&str>, upgrade_websocket: bool) -> bool {
        if self.version >= Version::HTTP_2 {
            // RFC 8441 §5: a `CONNECT` with `:protocol` set to `websocket`.
            // The h2 crate lets whitespace through, and a laxer parser may ignore it.
            let websocket = protocol.is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"));
            return websocket && *self.method == Method::CONNECT;
        }
        // RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
        self.version == Version::HTTP_11 && upgrade_websocket
    }

    /// Reads the handshake, if the request is one. `protocol` is the value of `:protocol`: empty if there is none, `None` if nobody has
    /// read it.
    #[inline]
    pub(crate) fn read(self, protocol: Option<&str>) -> Result<Option<ClientHandshake>, Rejection> {
        if self.cannot_upgrade() { Ok(None) } else { self.read_upgrade(protocol) }
    }

    /// Whether no server would upgrade the request. A plain request costs only this look-up.
    #[inline]
    pub(crate) fn cannot_upgrade(self) -> bool {
        !self.headers.contains_key(UPGRADE) && *self.method != Method::CONNECT
    }

    /// Same as [`read`](Self::read), for a request that a server may upgrade.
    #[inline]
    pub(crate) fn read_upgrade(self, protocol: Option<&str>) -> Result<Option<ClientHandshake>, Rejection> {
        let fields = Fields::find(self.headers);
        let asks = self.asks(protocol, fields.upgrade_websocket);
        let read = if asks { self.handshake(&fields) } else { self.anything_else(protocol, &fields) };
        read.map_err(|kind| self.reject(kind))
    }

    /// Handles a request that a server could upgrade, but not to a WebSocket by these rules.
    ///
    /// Extractors that check only the WebSocket headers would take such a request for an approved handshake.
    fn anything_else(
        self, protocol: Option<&str>, fields: &Fields<'_>,
    ) -> Result<Option<ClientHandshake>, RejectionKind> {
        if !fields.are_of_websocket() {
            return Ok(None);
        }
        Err(if self.is_unread(protocol) {
            RejectionKind::ExtendedConnectUnsupported
        } else if self.version == Version::HTTP_3 && protocol.is_some_and(|protocol| !protocol.is_empty()) {
            // RFC 9220 §3: "If a server receives an Extended CONNECT request with a :protocol value that is unknown or is not
            // supported, the server SHOULD respond to the request with a 501 (Not Implemented) status code".
            RejectionKind::ProtocolUnsupported
        } else if self.version == Version::HTTP_10 && fields.upgrade_websocket {
            RejectionKind::HttpVersionUnsupported
        } else {
            RejectionKind::UpgradeInvalid
        })
    }

    /// Whether nobody has read `:protocol`. The request may then be a handshake that this server was built without support for.
    fn is_unread(self, protocol: Option<&str>) -> bool {
        *self.method == Method::CONNECT && self.version >= Version::HTTP_2 && protocol.is_none()
    }

    fn handshake(self, fields: &Fields<'_>) -> Result<Option<ClientHandshake>, RejectionKind> {
        let over_http1 = self.version < Version::HTTP_2;
        // RFC 6455 §4.2.1: "An HTTP/1.1 or higher GET request".
        if over_http1 && *self.method != Method::GET {
            return Err(RejectionKind::MethodInvalid);
        }
        let authority = self.authority(fields.host)?;
        // Over HTTP/2, the stream follows. The stream ends if it exceeds a length (RFC 9113 §8.1.1), even a length of 0.
        if fields.content == Content::Some || fields.content == Content::Zero && !over_http1 {
            return Err(RejectionKind::BodyAnnounced);
        }
        // RFC 6455 §4.2.1: "A |Connection| header field that includes the token "Upgrade"".
        if over_http1 && !fields.connection_upgrade {
            return Err(RejectionKind::ConnectionInvalid);
        }
        // RFC 6455 §11.3.5: "MUST NOT appear more than once in an HTTP request".
        match once(fields.version, RejectionKind::VersionMissing, RejectionKind::VersionRepeated)?.as_bytes() {
            // RFC 6455 §4.2.1: "A |Sec-WebSocket-Version| header field, with a value of 13".
            b"13" => {}
            _ => return Err(RejectionKind::VersionUnsupported),
        }
        let key = if over_http1 {
            // RFC 6455 §11.3.1: "MUST NOT appear more than once in an HTTP request".
            let line = once(fields.key, RejectionKind::KeyMissing, RejectionKind::KeyRepeated)?;
            Some(Key::from_bytes(line.as_bytes()).ok_or(RejectionKind::KeyInvalid)?)
        } else {
            // RFC 8441 §5: "do not do the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields".
            None
        };
        let origin = match fields.origin {
            Lines::None => Ok(None),
            Lines::One(line) => Origin::from_value(line).map(Some).ok_or(RejectionKind::OriginInvalid),
            Lines::More => Err(RejectionKind::OriginRepeated),
        };
        let subprotocols = joined(self.headers, &SEC_WEBSOCKET_PROTOCOL, fields.subprotocols);
        let extensions = joined(self.headers, &SEC_WEBSOCKET_EXTENSIONS, fields.extensions);
        Ok(Some(ClientHandshake {
            version: self.version,
            authority,
            // RFC 6455 §4.1 says `https` where a browser says `wss`.
            over_https: self.uri.scheme().is_some_and(|scheme| *scheme == *"https" || *scheme == *"wss"),
            key,
            origin,
            subprotocols: subprotocols.map(Cow::into_owned).map(hidden),
            extensions: extensions.map_or(Ok(()), |field| extension::check(&field)),
        }))
    }

    /// RFC 9112 §3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any request message that
    /// contains more than one Host header field line or a Host header field with an invalid field value".
    fn authority(self, host: Lines<'_>) -> Result<Authority, RejectionKind> {
        if let Lines::More = host {
            return Err(RejectionKind::AuthorityRepeated);
        }
        let parse = |authority: Option<Authority>| authority.ok_or(RejectionKind::AuthorityInvalid);
        match (host, self.uri.authority()) {
            (Lines::One(field), None) if self.version < Version::HTTP_2 => parse(Authority::from_host_field(field)),
            (Lines::None, Some(target)) if self.version >= Version::HTTP_2 => parse(Authority::from_uri(target)),
            (Lines::One(field), Some(target)) => {
                let (field, target) = (parse(Authority::from_host_field(field))?, parse(Authority::from_uri(target))?);
                // If a server reads one and a proxy reads the other, the two work with different hosts.
                if !field.agrees_with(&target, self.uri.scheme_str().map(str::as_bytes).and_then(default_port)) {
                    return Err(RejectionKind::AuthorityMismatched);
                }
                Ok(field)
            }
            _ => Err(RejectionKind::AuthorityMissing),
        }
    }
}

/// The headers of a handshake, found in one pass over all headers. One look-up for each would take as long as all the rest.
#[derive(Default)]
struct Fields<'a> {
    host: Lines<'a>,
    version: Lines<'a>,
    key: Lines<'a>,
    origin: Lines<'a>,
    subprotocols: Lines<'a>,
    extensions: Lines<'a>,
    upgrade_websocket: bool,
    connection_upgrade: bool,
    content: Content,
}

/// What the headers say about a body.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    #[default]
    Unsaid,
    Zero,
    Some,
}

impl<'a> Fields<'a> {
    fn find(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            // The length of a name rules out most names.
            match name.as_str().len() {
                4 if *name == HOST => fields.host.add(value),
                6 if *name == ORIGIN => fields.origin.add(value),
                7 if *name == UPGRADE => fields.upgrade_websocket |= lists(value, "websocket"),
                10 if *name == CONNECTION => fields.connection_upgrade |= lists(value, "Upgrade"),
                14 if *name == CONTENT_LENGTH => fields.content = fields.content.max(Content::from_length(value)),
                17 if *name == SEC_WEBSOCKET_KEY => fields.key.add(value),
                17 if *name == TRANSFER_ENCODING => fields.content = Content::Some,
                21 if *name == SEC_WEBSOCKET_VERSION => fields.version.add(value),
                22 if *name == SEC_WEBSOCKET_PROTOCOL => fields.subprotocols.add(value),
                24 if *name == SEC_WEBSOCKET_EXTENSIONS => fields.extensions.add(value),
                _ => {}
            }
        }
        fields
    }

    /// Whether the request has a header that makes lax code take it for a handshake.
    fn are_of_websocket(&self) -> bool {
        !matches!((self.version, self.key), (Lines::None, Lines::None))
    }
}

fn once(lines: Lines<'_>, missing: RejectionKind, repeated: RejectionKind) -> Result<&HeaderValue, RejectionKind> {
    match lines {
        Lines::None => Err(missing),
        Lines::One(line) => Ok(line),
        Lines::More => Err(repeated),
    }
}

impl Content {
    fn from_length(length: &HeaderValue) -> Self {
        let is_zero = !length.is_empty() && length.as_bytes().iter().all(|digit| *digit == b'0');
        if is_zero { Self::Zero } else { Self::Some }
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, version: parts.version, headers: &parts.headers }
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), version: request.version(), headers: request.headers() }
    }
}

/// Hides subprotocols from `Debug`. They may be secret, and only a policy knows which ones are.
fn hidden(mut field: HeaderValue) -> HeaderValue {
    field.set_sensitive(true);
    field
}

#[cfg(test)]
mod tests;
