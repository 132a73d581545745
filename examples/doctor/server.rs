//! The server under test, and its requests.

use std::{error::Error, io, sync::Arc, time::Duration};

use http::{StatusCode, Uri};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use ws_handshake::{ClientError, ClientErrorKind, Origin, WsRequest, connect_http2};

use super::Args;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LATE: &str = "the server does not answer within 5 seconds";

pub(super) struct Server {
    pub(super) url: String,
    pub(super) own_page: Origin,
    host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    insecure: bool,
    /// The part that all requests share.
    pub(super) request: WsRequest,
    headers: Vec<(String, String)>,
    path: String,
    authority: String,
}

/// The outcome of a handshake.
pub(super) enum Answer {
    Connected,
    /// The status, and the first line of the body.
    Refused(StatusCode, String),
    Failed(String),
}

impl Answer {
    pub(super) fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    /// Whether the server has judged the request. A server that fails, or is asked too often, has not.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Refused(status, _) = self else { return false };
        let undecided = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        status.is_client_error() && !undecided.contains(status)
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Failure = Box<dyn Error + Send + Sync>;

impl Server {
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let wrong = || format!("{:?} is no URL: write `http://host:port/path` or `https://...`", args.url);
        let uri: Uri = args.url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(wrong().into()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let own_page = match &args.origin {
            Some(origin) => origin.clone(),
            None => format!("{}://{authority}", if tls { "https" } else { "http" }),
        };
        let mut request = WsRequest::new(&args.url).subprotocols(&args.subprotocol).timeout(PATIENCE);
        let mut headers = Vec::new();
        for header in &args.header {
            let (name, value) = header.split_once(": ").ok_or("write a header as `Name: value`")?;
            request = request.header(name, value);
            headers.push((name.into(), value.into()));
        }
        Ok(Self {
            url: args.url.clone(),
            own_page: own_page.parse().map_err(|_| {
                format!("{own_page:?} is not an origin: write `scheme://host[:port]`, with nothing after it")
            })?,
            host: authority.host().trim_matches(['[', ']']).into(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            insecure: args.insecure,
            request,
            headers,
            path: uri.path_and_query().map_or("/".into(), |path| match path.as_str() {
                path if path.starts_with('/') => path.into(),
                query => format!("/{query}"),
            }),
            authority: authority.to_string(),
        })
    }

    /// The handshake of a page.
    pub(super) fn page(&self, origin: &Origin) -> WsRequest {
        self.request.clone().origin(origin.as_str())
    }

    pub(super) async fn ask(&self, request: WsRequest) -> Answer {
        match self.connect("http/1.1").await {
            Ok(connection) => self.answer(request.connect(connection).await),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    fn answer<T>(&self, result: Result<T, ClientError>) -> Answer {
        let Err(error) = result else { return Answer::Connected };
        let Some(response) = error.response() else {
            return Answer::Failed(match error.kind() {
                ClientErrorKind::TimedOut => LATE.into(),
                ClientErrorKind::ConnectionFailed if !self.tls => "this is not HTTP: is it `https://`?".into(),
                ClientErrorKind::ConnectionFailed => "this is not HTTP".into(),
                _ => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
            });
        };
        // A wrong answer, but one that accepts.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Answer::Connected;
        }
        let body = String::from_utf8_lossy(response.body());
        // The body may contain anything, and a terminal has to print the line.
        let line: String = body.lines().next().unwrap_or_default().chars().take(100).collect();
        Answer::Refused(response.status(), line.escape_debug().to_string())
    }

    /// The answer over HTTP/2. `None` if the server does not take WebSockets over HTTP/2.
    pub(super) async fn ask_over_http2(&self, request: WsRequest) -> Option<Answer> {
        let connection = self.connect("h2").await.ok()?;
        let mut connection = timeout(PATIENCE, connect_http2::<_, String>(connection)).await.ok()?.ok()?;
        Some(self.answer(request.connect_over_http2(&mut connection).await))
    }

    /// Whether the server answers a second request on the connection of a refused handshake.
    pub(super) async fn answers_behind_refusal(&self, origin: &Origin) -> Result<bool, Failure> {
        let mut connection = self.connect("http/1.1").await?;
        let Self { path, authority, .. } = self;
        let headers = self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = format!("Host: {authority}\r\n{}", headers.concat());
        let requests = format!(
            "GET {path} HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\n\r\n\
             GET {path} HTTP/1.1\r\n{headers}\r\n"
        );
        connection.write_all(requests.as_bytes()).await?;
        let mut answers = Vec::new();
        // If the server closes or resets the connection, that is an answer too.
        let _ = timeout(Duration::from_secs(2), connection.take(1 << 16).read_to_end(&mut answers)).await;
        Ok(behind_first_answer(&answers).is_some_and(|rest| rest.starts_with(b"HTTP/1.")))
    }

    async fn connect(&self, protocol: &str) -> Result<Box<dyn Io>, Failure> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let tcp = timeout(PATIENCE, connecting).await.map_err(|_| LATE)?.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("nothing listens at {}:{}. Is the server running, and is the port right?", self.host, self.port)
            }
            _ => format!("{}: {error}", self.host),
        })?;
        tcp.set_nodelay(true)?;
        if !self.tls {
            return Ok(Box::new(tcp));
        }
        let mut config = self.tls_config()?;
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from(self.host.clone())?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let stream = timeout(PATIENCE, connecting).await.map_err(|_| LATE)?.map_err(|error| {
            let error = error.to_string();
            if error.contains("certificate") {
                format!("{error}. If the certificate is your own, use --insecure")
            } else {
                format!("there is no TLS ({error}): is it `http://`?")
            }
        })?;
        if protocol == "h2" && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("the server does not speak HTTP/2".into());
        }
        Ok(Box::new(stream))
    }

    fn tls_config(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        if self.insecure {
            let accept_all = Arc::new(AcceptAll(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(accept_all).with_no_client_auth());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// The bytes after the first answer. `None` if the answer has no length, and so lasts until the connection ends.
fn behind_first_answer(answers: &[u8]) -> Option<&[u8]> {
    let end = answers.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, rest) = answers.split_at(end);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if head.starts_with("http/1.1 1") {
        // An interim response: the final one follows.
        return behind_first_answer(rest);
    }
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    match (header("transfer-encoding:"), header("content-length:")) {
        (Some(_), _) => rest.windows(5).position(|five| five == b"0\r\n\r\n").and_then(|at| rest.get(at + 5..)),
        (None, length) => rest.get(length?.parse().ok()?..),
    }
}

/// Sends only secrets from the command line, to the server named there.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], _: UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        tokio_rustls::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        tokio_rustls::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
