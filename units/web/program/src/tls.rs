//! TLS with certificates that may change while we run: the files are looked at every few seconds, and read again when they
//! are others. A pair that can't be used changes nothing and is reported once. Who asks for a name (RFC 6066 section 3) that
//! has a certificate of its own is shown that one, everybody else the first.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::configuration::Tls;
use crate::journal;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or is not PEM.
    #[error("cannot read {}: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Key and certificate do not fit.
    #[error("{} and {} do not belong together: {source}", certificate.display(), key.display())]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// rustls refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificates in use.
#[derive(Debug)]
pub(crate) struct Certificates {
    first: Pair,
    further: Vec<Pair>,
    /// Places in `further`.
    by_name: BTreeMap<String, usize>,
}

/// A chain and its key.
#[derive(Debug)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    /// Nothing until the files of a further certificate could be read.
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

/// What tells one version of the files from the next.
type Version = [(u64, i64, i64, u64); 2];

impl Pair {
    fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, current: RwLock::default() }
    }

    fn load(&self) -> Result<(), TlsError> {
        let key = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    /// Reads the files again, if they can be used.
    fn reload(&self) {
        match self.load() {
            Ok(()) => journal::notice(&format!("serving {}", self.certificate.display())),
            Err(error) => journal::warning(&format!("keeping the old certificate: {error}")),
        }
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn version(&self) -> Option<Version> {
        let of = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
        };
        Some([of(&self.certificate)?, of(&self.key)?])
    }
}

impl Certificates {
    /// Reads the files. A further certificate may come later.
    pub(crate) fn new(files: Tls) -> Result<Arc<Self>, TlsError> {
        let first = Pair::new(files.certificate, files.key);
        first.load()?;
        let (mut further, mut by_name) = (Vec::new(), BTreeMap::new());
        for (place, one) in files.further.into_iter().enumerate() {
            by_name.extend(one.names.into_iter().map(|name| (name, place)));
            let pair = Pair::new(one.certificate, one.key);
            if let Err(error) = pair.load() {
                journal::warning(&format!("serving the first certificate instead: {error}"));
            }
            further.push(pair);
        }
        Ok(Arc::new(Self { first, further, by_name }))
    }

    /// The server's side of TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1.
    pub(crate) fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }

    /// Reads all files again, if they can be used.
    pub(crate) fn reload(&self) {
        self.pairs().for_each(Pair::reload);
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.first).chain(&self.further)
    }

    /// Looks at the files for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut known: Vec<_> = self.pairs().map(Pair::version).collect();
        loop {
            tokio::time::sleep(LOOK).await;
            for (pair, known) in self.pairs().zip(&mut known) {
                let seen = pair.version();
                // While they are replaced one of them may be missing.
                if seen.is_some() && seen != *known {
                    *known = seen;
                    pair.reload();
                }
            }
        }
    }

    fn of(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let place = name.and_then(|name| self.by_name.get(name));
        let own = place.and_then(|place| self.further.get(*place)?.current());
        own.or_else(|| self.first.current())
    }
}

fn read(certificate: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |path: &Path, problem: &dyn std::fmt::Display| TlsError::Read {
        path: path.to_owned(),
        problem: problem.to_string(),
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, &error))?;
    let key = any_supported_type(&key).map_err(|error| wrong(key_file, &error))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Not every kind of key can be compared.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(source) => Err(TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key_file.to_owned(),
            source,
        }),
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives it in lower case.
        self.of(hello.server_name())
    }
}
