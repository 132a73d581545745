//! The client's request, built and checked before it is sent.

use std::{fmt, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{
        AUTHORIZATION, CONNECTION, COOKIE, HOST, ORIGIN, PROXY_AUTHORIZATION, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    uri::PathAndQuery,
};
#[cfg(feature = "http2")]
use http::{Method, Version, uri::Scheme};
#[cfg(feature = "http2")]
use hyper::ext::Protocol;
use tokio::time::Instant;

use super::{answer::Asked, error::ClientError};
use crate::{
    grammar::{elements, is_element, is_token},
    handshake::{Key, Origin, authority::HostPort, extension, header::belongs_to_handshake},
    policy::{ConfigError, PermessageDeflate},
};

/// A client's request for a WebSocket, over a connection that you open.
///
/// The request sends the client's half of the handshake. The server's half is then checked by the list of RFC 6455 §4.1: status, `Upgrade`,
/// `Connection`, `Sec-WebSocket-Accept`, and no subprotocol or extension that was not offered.
///
/// You get a [`WsStream`](crate::WsStream), the same type as in a server's handler. The framing libraries take this stream in the client's
/// role.
///
/// If a part of the request is wrong, you get the error when you send the request.
///
/// ```no_run
/// use tokio::net::TcpStream;
/// use ws_handshake::{ClientErrorKind, WsRequest};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let request = WsRequest::new("ws://127.0.0.1:3000/chat")
///     .origin("https://app.example.com")
///     .subprotocols(["v2.chat", "v1.chat"])
///     .header("authorization", "Bearer 0xfeed");
/// let connection = TcpStream::connect("127.0.0.1:3000").await?;
/// match request.connect(connection).await {
///     Ok((stream, response)) => println!("{:?}, {:?}", stream.subprotocol(), response.headers()),
///     Err(error) if error.kind() == ClientErrorKind::Refused => println!("refused: {:?}", error.response()),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a request does nothing unless it is sent"]
pub struct WsRequest {
    pub(super) draft: Result<RequestDraft, ConfigError>,
    pub(super) timeout: Duration,
}

#[derive(Clone)]
pub(super) struct RequestDraft {
    #[cfg_attr(
        not(any(feature = "http2", feature = "testing")),
        expect(dead_code, reason = "HTTP/1.1 does not name the scheme")
    )]
    secure: bool,
    /// The host that the request names.
    authority: HeaderValue,
    path: PathAndQuery,
    /// All headers except those that every handshake has.
    headers: HeaderMap,
}

impl WsRequest {
    /// Creates a request for the WebSocket at `url`, such as `ws://host[:port]/path?query` (RFC 6455 §3). The scheme is `ws`, `wss`, `http`
    /// or `https`, in upper or lower case. Path and query are ASCII: write other characters as in `%C3%BC`.
    ///
    /// You open the connection to `host`, and secure it with TLS for `wss`. The scheme sets the default port. Over HTTP/2, the request also
    /// tells the server the scheme.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self { draft: RequestDraft::new(url.as_ref()), timeout: Duration::from_secs(10) }
    }

    /// A request that only holds an error.
    #[cfg(feature = "testing")]
    pub(crate) fn wrong(error: ConfigError) -> Self {
        Self { draft: Err(error), timeout: Duration::ZERO }
    }

    /// Sets the page that the request is from, as a browser sends it: `scheme://host[:port]`. The default is none.
    pub fn origin(self, origin: impl AsRef<str>) -> Self {
        self.with(|draft| {
            let origin = origin.as_ref();
            draft.headers.insert(ORIGIN, field(origin, parse_origin(origin)?.as_str())?);
            Ok(())
        })
    }

    /// Offers subprotocols, the most preferred first. The default is none.
    ///
    /// The server need not select one: check [`WsStream::subprotocol`](crate::WsStream::subprotocol). (If the server selects none, a
    /// browser closes the socket.)
    pub fn subprotocols<I>(self, names: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let hint = "is not a subprotocol: write a token of letters, digits and `!#$%&'*+-.^_`|~`";
        self.offer_each(names, |name| is_token(name.as_bytes()), hint)
    }

    /// Same as [`subprotocols`](Self::subprotocols), for names that need not be tokens. The default is none.
    ///
    /// RFC 6455 §4.1 allows only tokens. Some servers use other names anyway: Kubernetes has `SPDY/3.1+portforward.k8s.io`. A server that
    /// does not know such a name refuses the handshake.
    pub fn nonstandard_subprotocols<I>(self, names: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let hint = "cannot be in a list: write visible ASCII without commas, and each name separately";
        self.offer_each(names, |name| HeaderValue::from_str(name).is_ok_and(|name| is_element(&name)), hint)
    }

    /// Offers permessage-deflate on these terms (RFC 7692 §7.1). The default is no offer.
    ///
    /// Each setting is a parameter of the same name in the offer. `server_no_context_takeover` and `server_max_window_bits` are demands
    /// that the server has to meet. `client_no_context_takeover` and `client_max_window_bits` are promises of this client.
    /// `client_max_window_bits` is always offered, so the server may ask for less.
    ///
    /// If the server agrees, the framing library has to compress as agreed: see [`WsStream::deflate`](crate::WsStream::deflate).
    pub fn permessage_deflate(self, deflate: PermessageDeflate) -> Self {
        self.extensions(deflate.offer())
    }

    /// Offers extensions, written as in `Sec-WebSocket-Extensions` (RFC 6455 §9.1). The default is none.
    ///
    /// The server may agree to any of them, and your framing library then has to support them. Except for permessage-deflate, only the
    /// response says which ones the server agreed to.
    pub fn extensions(self, offers: impl AsRef<str>) -> Self {
        self.with(|draft| {
            let offers = offers.as_ref();
            let offers = field(offers, offers)?;
            if offers.is_empty() || extension::check(&offers).is_err() {
                let hint = "is not a list of extensions: write `name; parameter=value, another`";
                return Err(ConfigError::new(&String::from_utf8_lossy(offers.as_bytes()), hint));
            }
            draft.headers.append(SEC_WEBSOCKET_EXTENSIONS, offers);
            Ok(())
        })
    }

    /// Adds a header, such as `Authorization` or `Cookie`. A `Host` replaces the host of the URL.
    ///
    /// A header of the handshake itself is an error: `Connection`, `Upgrade`, `Content-Length`, `Transfer-Encoding` and `Sec-WebSocket-*`.
    /// An `Origin` may be well formed or not, and replaces the one set before.
    pub fn header(self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.with(|draft| {
            let written = name.as_ref();
            let name = HeaderName::try_from(written)
                .map_err(|_| ConfigError::new(written, "is not a header name: write a token, such as `authorization`"))?;
            if belongs_to_handshake(&name) {
                let hint =
                    "is written by the handshake itself: offer with `subprotocols`, `permessage_deflate` or `extensions`";
                return Err(ConfigError::new(written, hint));
            }
            let Ok(mut value) = value.try_into() else {
                return Err(ConfigError::new(written, "has a value that no header can have: write visible ASCII"));
            };
            if holds_credentials(&name) {
                value.set_sensitive(true);
            }
            if name == HOST {
                if HostPort::parse(value.as_bytes()).is_none() {
                    return Err(ConfigError::new(written, "has a value that is not a host: write `host[:port]`"));
                }
                draft.authority = value;
            } else if name == ORIGIN {
                draft.headers.insert(name, value);
            } else {
                draft.headers.append(name, value);
            }
            Ok(())
        })
    }

    /// Sets how long the handshake may take, from the call that sends it. The default is 10 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The origin of the page that sends the request: its `Origin`, or else the origin of its URL.
    #[cfg(feature = "testing")]
    pub(crate) fn page(&self) -> Result<Origin, ConfigError> {
        let draft = self.draft.as_ref().map_err(Clone::clone)?;
        let scheme = if draft.secure { "https" } else { "http" };
        let written = match draft.headers.get(ORIGIN) {
            Some(origin) => String::from_utf8_lossy(origin.as_bytes()).into_owned(),
            None => format!("{scheme}://{}", String::from_utf8_lossy(draft.authority.as_bytes())),
        };
        parse_origin(&written)
    }

    /// When the handshake has to be done.
    pub(super) fn deadline(&self) -> Instant {
        // If the timeout is too long for the clock, use a day: nobody waits longer.
        let now = Instant::now();
        now.checked_add(self.timeout).unwrap_or_else(|| now + Duration::from_secs(24 * 3600))
    }

    /// Offers each subprotocol that `is_right`. For other names, `hint` says what is wrong.
    fn offer_each<I>(self, names: I, is_right: impl Fn(&str) -> bool, hint: &str) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.with(|draft| {
            names.into_iter().try_for_each(|name| draft.offer_subprotocol(name.as_ref(), &is_right, hint))
        })
    }

    fn with(mut self, change: impl FnOnce(&mut RequestDraft) -> Result<(), ConfigError>) -> Self {
        self.draft = self.draft.and_then(|mut draft| change(&mut draft).map(|()| draft));
        self
    }
}

impl RequestDraft {
    fn new(url: &str) -> Result<Self, ConfigError> {
        let shown = without_secrets(url);
        let wrong = || {
            ConfigError::new(
                &shown,
                "is not the URL of a WebSocket: write `ws://host[:port]/path` or `wss://...`, and a space as `%20`",
            )
        };
        if !url.is_ascii() {
            let hint =
                "is not ASCII: write each byte of its UTF-8 as in `%C3%BC`, and a host in punycode, as `xn--...`";
            return Err(ConfigError::new(&shown, hint));
        }
        let uri = url.parse::<Uri>().map_err(|_| wrong())?;
        // RFC 3986 §3.1: "schemes are case-insensitive".
        let (secure, default_port) = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("ws" | "http") => (false, 80),
            Some("wss" | "https") => (true, 443),
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        if authority.contains('@') {
            let hint = "has user information before the host: remove it, and add `authorization` with `header`";
            return Err(ConfigError::new(&shown, hint));
        }
        let parsed = HostPort::parse(authority.as_bytes()).ok_or_else(wrong)?;
        // RFC 6455 §4.1: the port goes with the host, "if not using the default port".
        let named =
            if parsed.port == Some(default_port) { &authority[..usize::from(parsed.host_length)] } else { authority };
        // RFC 6455 §3: an empty path means `/`, with a query or without.
        let path = match uri.path_and_query() {
            Some(path) if path.as_str().starts_with('/') => path.clone(),
            Some(path) => format!("/{}", path.as_str()).parse().map_err(|_| wrong())?,
            None => PathAndQuery::from_static("/"),
        };
        Ok(Self { secure, authority: field(&shown, named)?, path, headers: HeaderMap::new() })
    }

    fn offer_subprotocol(
        &mut self, name: &str, is_right: impl Fn(&str) -> bool, hint: &str,
    ) -> Result<(), ConfigError> {
        let offered = self.headers.get(SEC_WEBSOCKET_PROTOCOL);
        // The error gives the position, because the name may contain a token.
        let wrong = |what: &str| {
            let place = offered.map_or(0, |offered| elements(offered.as_bytes()).count()) + 1;
            ConfigError::new("subprotocols", format!("entry {place} {what}"))
        };
        if !is_right(name) {
            return Err(wrong(hint));
        }
        // RFC 6455 §4.1: "MUST all be unique strings".
        if offered.is_some_and(|offered| elements(offered.as_bytes()).any(|offered| offered == name.as_bytes())) {
            return Err(wrong("is offered before: name each subprotocol once"));
        }
        let before = offered.and_then(|offered| offered.to_str().ok());
        let offers = before.map_or_else(|| name.to_owned(), |before| format!("{before}, {name}"));
        let mut offers = field("subprotocols", &offers)?;
        // The offers may contain a user's token. HTTP/2 then keeps the header out of its tables (RFC 7541 §7.1.3).
        offers.set_sensitive(true);
        self.headers.insert(SEC_WEBSOCKET_PROTOCOL, offers);
        Ok(())
    }

    /// The `GET` of RFC 6455 §4.1, and the values that the answer has to match.
    pub(super) fn into_http1(self) -> Result<(Request<String>, Asked), ClientError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(ClientError::no_randomness)?;
        let key = Key::from_nonce(nonce);
        let mut request = Request::new(String::new());
        *request.uri_mut() = self.path.as_str().parse().map_err(|_| {
            ClientError::request_invalid(ConfigError::new(self.path.path(), "is not a path: write `/path?query`"))
        })?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let written = field(key.as_str(), key.as_str()).map_err(ClientError::request_invalid)?;
        headers.insert(SEC_WEBSOCKET_KEY, written);
        headers.extend(self.headers.clone());
        Ok((request, Asked { key: Some(key), headers: self.headers }))
    }

    /// The extended `CONNECT` of RFC 8441 §5, and the values that the answer has to match.
    #[cfg(feature = "http2")]
    pub(super) fn into_extended_connect<B: Default>(self) -> Result<(Request<B>, Asked), ClientError> {
        let authority = self.authority.as_bytes();
        let uri = Uri::builder()
            .scheme(if self.secure { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(authority)
            .path_and_query(self.path)
            .build()
            .map_err(|_| {
                let authority = String::from_utf8_lossy(authority);
                ClientError::request_invalid(ConfigError::new(&authority, "is not a host: write `host[:port]`"))
            })?;
        let mut request = Request::new(B::default());
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.extend(self.headers.clone());
        Ok((request, Asked { key: None, headers: self.headers }))
    }
}

/// Replaces the user information and the query of a URL with dots, because they may hold secrets.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    if url[end..].contains('@') {
        // A password contains one of these, which should have been escaped.
        let scheme = url[..end].find("://").map_or("", |at| &url[..at + "://".len()]);
        return format!("{scheme}...");
    }
    let (scheme, rest) = url[..end].split_at(url[..end].find("://").map_or(0, |at| at + "://".len()));
    let (user, host) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("...@", host));
    let query = if end < url.len() { "?..." } else { "" };
    format!("{scheme}{user}{host}{query}")
}

fn parse_origin(written: &str) -> Result<Origin, ConfigError> {
    let hint = "is not an origin: write `scheme://host[:port]`, with nothing after it";
    written.parse().map_err(|_| ConfigError::new(written, hint))
}

/// Whether a header identifies the user. HTTP/2 then has to keep it out of its tables (RFC 7541 §7.1.3).
fn holds_credentials(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
}

/// Makes a header value. `written` is the text to show in an error.
fn field(written: &str, value: &str) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_str(value).map_err(|_| ConfigError::new(written, "cannot be in a header: write visible ASCII"))
}

impl fmt::Debug for WsRequest {
    /// Leaves out the query and the headers, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.draft {
            Ok(RequestDraft { authority, path, .. }) => {
                f.debug_struct("WsRequest").field("host", authority).field("path", &path.path()).finish_non_exhaustive()
            }
            Err(error) => f.debug_tuple("WsRequest").field(error).finish(),
        }
    }
}
