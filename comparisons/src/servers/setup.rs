//! What is around a server: TLS, and what watches and limits it.

use std::{
    convert::Infallible,
    env,
    fs::File,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    ServiceExt,
    extract::{ConnectInfo, Request},
    http::request::Parts,
    response::Response,
    serve::ListenerExt,
};
use tls_listener::{AsyncAccept, AsyncListener, TlsListener};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tower::Service;
use tracing_subscriber::filter::LevelFilter;
use ws_handshake::{ConnectionKey, Connections, WsHandshakeLayer};

pub struct Setup {
    tls: bool,
    connections: bool,
}

impl Setup {
    /// Of names joined by `+`. What a program installs once is installed here.
    pub fn new(options: &str) -> Self {
        let has = |option| options.split('+').any(|name| name == option || name == "everything");
        if has("tracing") {
            // Lines are written as they would be to a file.
            let file = File::create("/dev/null").expect("a file");
            tracing_subscriber::fmt().with_max_level(LevelFilter::INFO).with_ansi(false).with_writer(file).init();
        }
        if has("metrics") {
            record_metrics();
        }
        Self { tls: options.split('+').any(|name| name == "tls"), connections: has("connections") }
    }

    /// With connections: their number, two limits for each client, and lifetimes.
    pub fn configure(&self, layer: WsHandshakeLayer) -> WsHandshakeLayer {
        if !self.connections {
            return layer;
        }
        let hour = Duration::from_secs(3600);
        let connections = Connections::new()
            .limit(1_000_000)
            .limit_per(1_000_000, client)
            .rate_per(1_000_000, Duration::from_secs(1), client)
            .max_age(hour)
            .idle_timeout(hour);
        layer.connections(connections)
    }

    pub async fn serve<S>(&self, listener: TcpListener, service: S)
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
    {
        if self.tls {
            let listener = TlsListener::new(acceptor(), NoDelay(listener));
            return axum::serve(listener, service.into_make_service()).await.expect("served");
        }
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP stream"));
        if self.connections {
            let service = service.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served");
        } else {
            axum::serve(listener, service.into_make_service()).await.expect("served");
        }
    }
}

#[cfg(feature = "metrics")]
fn record_metrics() {
    metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().expect("the only recorder");
    ws_handshake::describe_metrics();
}

#[cfg(not(feature = "metrics"))]
fn record_metrics() {
    panic!("built without metrics");
}

/// Has each connection send at once what is written, as [`ListenerExt::tap_io`] does without TLS.
struct NoDelay(TcpListener);

impl AsyncAccept for NoDelay {
    type Connection = TcpStream;
    type Address = SocketAddr;
    type Error = io::Error;

    fn poll_accept(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.0.poll_accept(cx).map_ok(|(stream, peer)| {
            stream.set_nodelay(true).expect("a TCP stream");
            (stream, peer)
        })
    }
}

impl AsyncListener for NoDelay {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn client(parts: &Parts) -> Option<ConnectionKey> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(ConnectionKey::network(peer.ip()))
}

/// With the certificate that the measuring process has made.
fn acceptor() -> TlsAcceptor {
    let pem = |name| env::var(name).expect("the measuring process sets it");
    let certificate = CertificateDer::from_pem_slice(pem("CERTIFICATE").as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pem("KEY").as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
