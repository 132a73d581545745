//! The certificate, and TLS for each version of HTTP.

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use tls_listener::TlsListener;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        version::{TLS12, TLS13},
    },
};

use crate::{BoxError, http3};

/// A certificate chain and its key.
pub(crate) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Makes a certificate for this machine, so a browser warns of it. To read your own, use `rustls::pki_types::pem::PemObject`.
    pub(crate) fn make() -> Result<Self, BoxError> {
        let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into(), "::1".into()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Ok(Self { chain: vec![made.cert.der().clone()], key: key.into() })
    }

    /// For HTTP/1.1 and HTTP/2.
    pub(crate) fn tcp(&self, listener: TcpListener) -> Result<TlsListener<TcpListener, TlsAcceptor>, BoxError> {
        let config = self.config(&[&TLS13, &TLS12], &[b"h2", b"http/1.1"])?;
        Ok(TlsListener::new(TlsAcceptor::from(Arc::new(config)), listener))
    }

    /// For HTTP/3. There is no early data, because requests in it can be replayed (RFC 9114 §10.9).
    pub(crate) fn quic(&self) -> Result<quinn::ServerConfig, BoxError> {
        let config = self.config(&[&TLS13], &[b"h3"])?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?));
        server.transport_config(http3::transport());
        Ok(server)
    }

    fn config(
        &self, versions: &[&'static SupportedProtocolVersion], protocols: &[&[u8]],
    ) -> Result<ServerConfig, BoxError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}
