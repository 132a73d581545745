//! Writes the server's half of the handshake (RFC 6455 §4.2.2, RFC 8441 §5).

#[cfg(feature = "tower")]
use http::Version;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

#[cfg(feature = "tower")]
use super::http_version;
use super::{
    client::ClientHandshake,
    deflate::DeflateParams,
    key::Key,
    origin::Origin,
    rejection::ReportedRejection,
    subprotocol::{OfferedBefore, OfferedSubprotocols, SecretNames},
};

/// An approved handshake, and the only code that writes the head of its answer.
///
/// A [`Policy`](crate::Policy) makes one. Over HTTP/1.1, the answer is 101 with `Upgrade`, `Connection` and `Sec-WebSocket-Accept`. Over
/// HTTP/2, the answer is 200 without these headers.
///
/// ```
/// use ws_handshake::{Policy, handshake::ClientHandshake};
///
/// let (parts, ()) = http::Request::connect("https://example.com/chat")
///     .version(http::Version::HTTP_2)
///     .header("sec-websocket-version", "13")
///     .body(())?
///     .into_parts();
/// let client = ClientHandshake::from_extended_connect(&parts, "websocket")?.expect("it asks for a WebSocket");
/// let server = Policy::new().decide(&client, &parts).now().expect("decided")?;
/// assert_eq!(server.response::<()>().status(), 200);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    key: Option<Key>,
    origin: Option<Origin>,
    offered: OfferedSubprotocols,
    subprotocol: Option<HeaderValue>,
    deflate: Option<DeflateParams>,
    /// Boxed, because most handshakes have none.
    extras: Option<Box<Extras>>,
}

impl ServerHandshake {
    #[inline]
    pub(crate) fn new(
        client: &ClientHandshake, offered: OfferedSubprotocols, subprotocol: Option<HeaderValue>,
        deflate: Option<DeflateParams>, extras: Option<Extras>,
    ) -> Self {
        Self {
            key: client.key().copied(),
            origin: client.origin().ok().flatten().cloned(),
            offered,
            subprotocol,
            deflate,
            extras: extras.map(Box::new),
        }
    }

    /// Notes the rejection that the policy would have made without `report_only`. Only the first one is kept.
    pub(crate) fn report(&mut self, rejection: ReportedRejection) {
        self.extras.get_or_insert_default().reported.get_or_insert(rejection);
    }

    /// Takes over the findings of an earlier policy.
    #[cfg(feature = "tower")]
    pub(crate) fn follow(&mut self, before: &Self) {
        let Some(before) = before.extras.as_deref() else { return };
        let extras = self.extras.get_or_insert_default();
        match (&mut extras.secrets, &before.secrets) {
            // Both were found in the client's original offers.
            (Some(secrets), Some(before)) => secrets.names.extend(&before.names),
            (secrets, before) => *secrets = secrets.take().or_else(|| before.clone()),
        }
        extras.reported = extras.reported.take().or_else(|| before.reported.clone());
    }

    /// The original offers, if secrets were removed from them.
    #[cfg(feature = "tower")]
    pub(crate) fn offered_before(&self) -> Option<OfferedBefore> {
        self.extras.as_ref()?.secrets.as_ref().map(|secrets| OfferedBefore(secrets.offered.clone()))
    }

    /// The secret that the client offered after the prefix `mark`, or in the name after `mark`. `mark` may be in upper or lower case. See
    /// [`Subprotocols::secret_prefix`](crate::Subprotocols::secret_prefix) and
    /// [`Subprotocols::secret_after`](crate::Subprotocols::secret_after). `None` if the policy does not have this `mark`, or the client
    /// offered no such secret.
    #[must_use]
    pub fn secret_subprotocol(&self, mark: &str) -> Option<&str> {
        self.secret_subprotocols(mark).next()
    }

    /// All secrets for `mark`. [`secret_subprotocol`](Self::secret_subprotocol) gives the first of them.
    pub fn secret_subprotocols<'a>(&'a self, mark: &str) -> impl Iterator<Item = &'a str> {
        let secrets = self.extras.iter().filter_map(|extras| extras.secrets.as_ref());
        secrets.flat_map(move |secrets| secrets.offered.secrets(&secrets.names, mark))
    }

    /// The origin of the page that connects. `None` for a non-browser client.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The subprotocols that the client offered in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub fn offered_subprotocols(&self) -> &OfferedSubprotocols {
        &self.offered
    }

    /// The selected subprotocol.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().and_then(|name| name.to_str().ok())
    }

    /// The parameters of permessage-deflate, if it was agreed on.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }

    /// The rejection that the policy would have made without `report_only`, if any.
    #[must_use]
    pub fn reported(&self) -> Option<&ReportedRejection> {
        self.extras.as_deref()?.reported.as_ref()
    }

    /// The status of the answer: 101 over HTTP/1.1, 200 over HTTP/2.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        // RFC 8441 §5: the `CONNECT` "replaces the GET-based request", and RFC 9113 §8.5: a 2xx accepts it.
        if self.over_http1() { StatusCode::SWITCHING_PROTOCOLS } else { StatusCode::OK }
    }

    /// Whether the handshake upgrades an HTTP/1.1 connection, rather than one stream of an HTTP/2 connection.
    pub(crate) fn over_http1(&self) -> bool {
        self.key.is_some()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn version(&self) -> Version {
        if self.over_http1() { Version::HTTP_11 } else { Version::HTTP_2 }
    }

    /// The HTTP version, as named in telemetry.
    #[cfg(feature = "tower")]
    pub(crate) fn http_version(&self) -> &'static str {
        http_version::name(self.version())
    }

    /// The answer, with its status and headers, and an empty body.
    #[must_use]
    pub fn response<B: Default>(&self) -> Response<B> {
        self.response_with(self.subprotocol.clone(), self.deflate.and_then(DeflateParams::to_field))
    }

    /// Same as [`response`](Self::response), with the handler's own selection.
    pub(crate) fn response_with<B: Default>(
        &self, subprotocol: Option<HeaderValue>, extensions: Option<HeaderValue>,
    ) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if let Some(key) = &self.key {
            // RFC 6455 §4.2.2: `Upgrade`, `Connection` and `Sec-WebSocket-Accept`, in this order.
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, key.accept());
        }
        if let Some(name) = subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        if let Some(extensions) = extensions {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions);
        }
        if let Some(reported) = self.reported() {
            response.extensions_mut().insert(reported.clone());
        }
        response
    }

    #[cfg(feature = "tower")]
    pub(crate) fn selected(&self) -> Option<&HeaderValue> {
        self.subprotocol.as_ref()
    }
}

/// The parts that few handshakes have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// The secrets that this policy and earlier ones have removed from the offers.
    secrets: Option<Secrets>,
    /// The rejection that the policy would have made without `report_only`.
    reported: Option<ReportedRejection>,
}

impl Extras {
    /// Removes the secrets from the offers.
    #[cold]
    pub(crate) fn new(
        offered: &mut OfferedSubprotocols, before: Option<&OfferedBefore>, names: Option<&SecretNames>,
        reported: Option<ReportedRejection>,
    ) -> Self {
        let secrets = names.and_then(|names| {
            let offered = offered.split_off(names, before)?;
            Some(Secrets { names: names.clone(), offered })
        });
        Self { secrets, reported }
    }
}

/// Offers with secrets in them, and the policy's rules for secrets.
#[derive(Clone, Debug)]
struct Secrets {
    names: SecretNames,
    offered: OfferedSubprotocols,
}
