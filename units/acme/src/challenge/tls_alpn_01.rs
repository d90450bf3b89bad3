//! tls-alpn-01 (RFC 8737): a handshake on port 443 that shows a certificate with the proof in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{ChallengeError, Proof};

/// RFC 8737 section 6.2.
const PROTOCOL: &[u8] = b"acme-tls/1";
const TIME: Duration = Duration::from_secs(10);

/// Answers while it lives.
#[derive(Debug)]
pub struct Responder {
    task: JoinHandle<()>,
}

/// One certificate for each name.
#[derive(Debug)]
struct Proofs(BTreeMap<String, Arc<CertifiedKey>>);

impl ResolvesServerCert for Proofs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn()?;
        let asked = protocols.any(|protocol| protocol == PROTOCOL);
        self.0.get(hello.server_name()?).filter(|_| asked).cloned()
    }
}

impl Responder {
    /// Listens.
    ///
    /// # Errors
    /// [`ChallengeError`].
    pub async fn start(listen: SocketAddr, proofs: &[Proof]) -> Result<Self, ChallengeError> {
        let failed = |error: rustls::Error| ChallengeError::Certificate(error.to_string());
        let certificates = proofs
            .iter()
            .map(|proof| Ok((proof.name.to_string(), Arc::new(certificate(proof)?))))
            .collect::<Result<_, ChallengeError>>()?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Proofs(certificates)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| ChallengeError::Listen(listen, error))?;
        Ok(Self { task: tokio::spawn(serve(listener, acceptor)) })
    }

    /// Ends it.
    pub fn stop(self) {}
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handshake = acceptor.accept(stream);
                // The handshake is all that there is to it.
                tokio::spawn(async move { timeout(TIME, handshake).await });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A certificate for the name, with the digest in a critical extension (RFC 8737 section 3).
fn certificate(proof: &Proof) -> Result<CertifiedKey, ChallengeError> {
    let failed = |error: String| ChallengeError::Certificate(error);
    let made = KeyPair::generate().and_then(|key| {
        let mut params = CertificateParams::new(vec![proof.name.to_string()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&proof.digest)];
        Ok((params.self_signed(&key)?, key))
    });
    let (certificate, key) = made.map_err(|error| failed(error.to_string()))?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|it| failed(it.to_owned()))?;
    let key = sign::any_supported_type(&key).map_err(|error| failed(error.to_string()))?;
    Ok(CertifiedKey::new(vec![CertificateDer::from(certificate.der().to_vec())], key))
}
