//! Where clients come in: one port of TCP with TLS, and the same port of UDP with QUIC.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::crypto::rustls::QuicServerConfig;
use rcgen::CertifiedKey;
use tls_listener::TlsListener;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer, version::TLS13},
};

use crate::connection::{BoxError, STREAMS, WINDOW};

/// A certificate that is made at start: a browser warns of it.
pub(crate) fn certificate() -> Result<CertifiedKey<rcgen::KeyPair>, BoxError> {
    Ok(rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into(), "::1".into()])?)
}

/// For HTTP/1.1 and HTTP/2.
pub(crate) fn tcp(
    made: &CertifiedKey<rcgen::KeyPair>, listener: TcpListener,
) -> Result<TlsListener<TcpListener, TlsAcceptor>, BoxError> {
    let config = config(made, &[b"h2", b"http/1.1"])?;
    Ok(TlsListener::new(TlsAcceptor::from(Arc::new(config)), listener))
}

/// For HTTP/3.
pub(crate) fn udp(made: &CertifiedKey<rcgen::KeyPair>, address: SocketAddr) -> Result<quinn::Endpoint, BoxError> {
    // No early data: it can be replayed (RFC 9114 §10.9).
    let config = config(made, &[b"h3"])?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?));
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .stream_receive_window(WINDOW.into())
        // quinn ends a connection that is idle for 30 s, and a socket may be.
        .keep_alive_interval(Some(Duration::from_secs(15)));
    server.transport_config(Arc::new(transport));
    Ok(quinn::Endpoint::server(server, address)?)
}

fn config(made: &CertifiedKey<rcgen::KeyPair>, protocols: &[&[u8]]) -> Result<ServerConfig, BoxError> {
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}
