//! What a client asks for.

use h2::ext::Protocol;
use http::{Method, Request, Version};

/// The answer to [`Handshake::valid`]'s key (RFC 6455 §1.3).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A handshake, right in every way until something is changed.
#[derive(Clone)]
pub(crate) struct Handshake {
    line: String,
    fields: Vec<(String, String)>,
    protocol: Option<&'static str>,
}

impl Handshake {
    pub(crate) fn valid() -> Self {
        let fields = [
            ("host", "example.com"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("origin", "https://example.com"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { line: "GET /ws HTTP/1.1".into(), fields, protocol: Some("websocket") }
    }

    /// A request for a page, and for nothing else.
    pub(crate) fn page(path: &str) -> Self {
        let mut request = Self::valid().to(path);
        request.fields.truncate(1);
        request.protocol = None;
        request
    }

    /// The request line over HTTP/1.1. Over HTTP/2 only its target counts.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    pub(crate) fn to(self, path: &str) -> Self {
        self.line(&format!("GET {path} HTTP/1.1"))
    }

    /// What an extended `CONNECT` asks for; `None` for a plain one.
    pub(crate) fn protocol(mut self, protocol: Option<&'static str>) -> Self {
        self.protocol = protocol;
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).add(name, value)
    }

    /// The text over HTTP/1.1.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        (text + "\r\n").into_bytes()
    }

    /// The request over HTTP/2: an extended `CONNECT`, or the `GET` of a page. The first `Host` is its authority; there is
    /// no `Connection`, `Upgrade` or key.
    pub(crate) fn request(&self) -> Request<()> {
        let target = self.line.split(' ').nth(1).expect("a target");
        let mut fields = self.fields.clone();
        let mut uri = target.to_owned();
        // The authority of an absolute target stands against a `Host` then, as over HTTP/1.1.
        if target.starts_with('/') {
            let host = fields.iter().position(|(name, _)| name == "host").expect("a host");
            uri = format!("https://{}{target}", fields.remove(host).1);
        }
        let mut request = Request::builder().version(Version::HTTP_2).uri(uri);
        for (name, value) in fields {
            if !["connection", "upgrade", "sec-websocket-key"].contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(()).expect("a request");
        if self.fields.iter().any(|(name, _)| name == "upgrade") {
            *request.method_mut() = Method::CONNECT;
            if let Some(protocol) = self.protocol {
                request.extensions_mut().insert(Protocol::from_static(protocol));
            }
        }
        request
    }
}
