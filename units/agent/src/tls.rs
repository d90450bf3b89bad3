//! A line-based connection to the mail server on loopback, under TLS, with one deadline.
//!
//! In: an address and the certificate that must be presented (the one in use, self-
//! signed or not). Out: lines. Lengths are bounded: the peer is only supposed to be our server.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme, StreamOwned,
};

use crate::appliance::DomainName;
use crate::deadline::Deadline;

/// Longest line we accept; IMAP and SMTP servers send far shorter ones.
const LONGEST_LINE: usize = 64 * 1024;

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS could not even be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] Error),
    /// The host is no server name.
    #[error("`{0}` cannot be used as a server name")]
    Name(DomainName),
    /// The connection failed, the certificate is another one, or the time is up.
    #[error("port {port}: {source}")]
    Io {
        /// Port of the server.
        port: u16,
        /// What went wrong.
        source: io::Error,
    },
    /// The server answered something else than its protocol, or a refusal.
    #[error("port {port}: the server answered `{answer}` to {to}")]
    Answer {
        /// Port of the server.
        port: u16,
        /// What was sent, without secrets.
        to: &'static str,
        /// Its answer, shortened.
        answer: String,
    },
}

/// One conversation.
#[derive(Debug)]
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
    deadline: Deadline,
    port: u16,
}

impl Connection {
    /// Connects to `address` and insists on the certificate `pinned` (DER).
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(
        address: SocketAddr,
        host: &DomainName,
        pinned: &[u8],
        deadline: Deadline,
    ) -> Result<Self, TlsError> {
        let port = address.port();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            Arc::new(Pinned { certificate: pinned.to_vec(), provider: provider.clone() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name =
            ServerName::try_from(host.to_string()).map_err(|_| TlsError::Name(host.clone()))?;
        let client = ClientConnection::new(Arc::new(config), name)?;
        let socket = deadline
            .remaining()
            .and_then(|time| TcpStream::connect_timeout(&address, time))
            .map_err(|source| TlsError::Io { port, source })?;
        let stream = StreamOwned::new(client, socket);
        Ok(Self { stream, received: Vec::new(), deadline, port })
    }

    /// Sends `text` as it is.
    ///
    /// # Errors
    /// [`TlsError::Io`].
    pub fn send(&mut self, text: &str) -> Result<(), TlsError> {
        let sent = self.limit_time().and_then(|()| {
            self.stream.write_all(text.as_bytes())?;
            self.stream.flush()
        });
        sent.map_err(|source| self.io(source))
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// [`TlsError::Io`], also for a line of more than 64 KiB.
    pub fn read_line(&mut self) -> Result<String, TlsError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.receive()?;
        }
    }

    /// Exactly `length` bytes, at most 64 KiB.
    ///
    /// # Errors
    /// [`TlsError::Io`].
    pub fn read_exact(&mut self, length: usize) -> Result<Vec<u8>, TlsError> {
        while self.received.len() < length {
            self.receive()?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn receive(&mut self) -> Result<(), TlsError> {
        if self.received.len() > LONGEST_LINE {
            return Err(self.io(io::Error::other("the server's answer does not end")));
        }
        let mut buffer = [0; 4096];
        let read = self.limit_time().and_then(|()| self.stream.read(&mut buffer));
        match read {
            Ok(0) => Err(self.io(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            Err(error) => Err(self.io(error)),
        }
    }

    fn limit_time(&self) -> io::Result<()> {
        let left = self.deadline.remaining()?;
        self.stream.sock.set_read_timeout(Some(left))?;
        self.stream.sock.set_write_timeout(Some(left))
    }

    fn io(&self, source: io::Error) -> TlsError {
        let source = match source.kind() {
            // What a socket's timeout looks like.
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => source,
        };
        TlsError::Io { port: self.port, source }
    }

    /// An answer that ends the conversation. `to` must hold no secret.
    pub fn refused(&self, to: &'static str, answer: &str) -> TlsError {
        TlsError::Answer { port: self.port, to, answer: answer.chars().take(200).collect() }
    }
}

/// Accepts one certificate, byte for byte, whoever signed it and whatever its names are: what has
/// to be proved here is that the server uses the file it was given.
#[derive(Debug)]
struct Pinned {
    certificate: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
