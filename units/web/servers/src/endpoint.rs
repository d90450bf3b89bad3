//! Where a server is and how far it is trusted. Out: a connection, encrypted if asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Error, Result, proxy};

/// How long a connection may take to stand.
const CONNECT_SECONDS: u64 = 10;

/// A connection of either kind.
pub trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

/// Which certificates a server may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One of the certificates in this PEM file, whatever name is in it and whoever signed it.
    /// For a server on the same machine, whose certificate file both read. Read anew each time, as
    /// it is replaced without a restart.
    Pinned(PathBuf),
    /// Certificates for the server's name, signed by one of the roots of this PEM file.
    Roots(PathBuf),
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// From the first byte.
    Implicit,
    /// By STARTTLS, and nothing is said before.
    StartTls,
}

/// A server of the mail.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host or address to connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that its certificate has to have.
    pub name: String,
    /// When TLS begins.
    pub security: Security,
    /// Which certificates it may show.
    pub trust: Trust,
    /// Whether the server expects the PROXY header, with the address of the reader.
    pub proxy: bool,
}

impl Endpoint {
    fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects. `reader` is whom the connection is made for.
    ///
    /// # Errors
    /// [`Error::Connect`], or [`Error::Timeout`] after 10 seconds.
    pub(crate) async fn tcp(&self, reader: Option<SocketAddr>) -> Result<Box<dyn Link>> {
        let connect = |source| Error::Connect { server: self.shown(), source };
        let stream = within(CONNECT_SECONDS, "connect", async {
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connect)
        });
        let mut stream = stream.await?;
        stream.set_nodelay(true).map_err(connect)?;
        if self.proxy {
            let server = stream.peer_addr().map_err(connect)?;
            let own = stream.local_addr().map_err(connect)?;
            stream.write_all(&proxy::header(reader.unwrap_or(own), server)).await.map_err(connect)?;
        }
        Ok(Box::new(stream))
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// [`Error::Tls`] for a certificate that isn't trusted, [`Error::Certificates`] for a file.
    pub(crate) async fn encrypt(&self, link: Box<dyn Link>) -> Result<Box<dyn Link>> {
        let name = ServerName::try_from(self.name.clone())
            .map_err(|_| Error::Tls { server: self.shown(), reason: "no host name".into() })?;
        let connector = TlsConnector::from(Arc::new(self.trust.client()?));
        let stream = within(CONNECT_SECONDS, "TLS", async {
            let failed = |error: std::io::Error| Error::Tls {
                server: self.shown(),
                reason: error.to_string(),
            };
            connector.connect(name, link).await.map_err(failed)
        });
        Ok(Box::new(stream.await?))
    }
}

impl Trust {
    fn client(&self) -> Result<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (Trust::Pinned(path) | Trust::Roots(path)) = self;
        let wrong = |reason: String| Error::Certificates {
            path: path.display().to_string(),
            reason,
        };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(|found| found.collect())
            .map_err(|error| wrong(error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Trust::Pinned(_) => {
                if certificates.is_empty() {
                    return Err(wrong("no certificate".into()));
                }
                Arc::new(Pinned { certificates, provider: Arc::clone(&provider) })
            }
            Trust::Roots(_) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates);
                let built = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(&provider),
                );
                built.build().map_err(|error| wrong(error.to_string()))?
            }
        };
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(config
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }
}

/// Accepts certificates of a file alone; the handshake still has to prove that the server has its key.
#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.certificates.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another certificate than the pinned one".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Gives up on `work` after `seconds`.
pub(crate) async fn within<T>(
    seconds: u64,
    step: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(Duration::from_secs(seconds), work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout { seconds, step }),
    }
}
