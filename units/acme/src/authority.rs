//! The connection to the authority: HTTPS, with a limit on time and size.
//!
//! In: roots to trust. Out: answers for `instant-acme`, and how long the authority asked us to wait.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::clock::Seconds;

/// Where Debian keeps the roots that it trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
const TIME: Duration = Duration::from_secs(60);
/// Directories, orders and chains are some kilobytes.
const LARGEST: usize = 1 << 20;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The roots cannot be read.
    #[error("cannot read the trusted roots in {0}: {1}")]
    Roots(PathBuf, #[source] io::Error),
    /// There is none among them.
    #[error("{0} holds no certificate; put the authority's root there, as PEM")]
    NoRoot(PathBuf),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the authority asked for, across all requests of a run.
#[derive(Debug, Clone, Default)]
pub struct Patience(Arc<Mutex<Option<Duration>>>);

impl Patience {
    /// Seconds for which it wants to be left alone, if it said so when it refused something.
    pub fn asked(&self) -> Option<Seconds> {
        let asked = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.map(|asked| Seconds::try_from(asked.as_secs()).unwrap_or(Seconds::MAX))
    }

    fn note(&self, headers: &HeaderMap) {
        let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = text.and_then(|text| retry_after(text, SystemTime::now()));
        if asked.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
    }
}

/// Seconds, or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(now).unwrap_or_default())
        }
    }
}

/// An HTTPS client for one run.
pub struct Authority {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    patience: Patience,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Trusts the roots in `file`, else those of `SSL_CERT_FILE`, else the system's.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new(file: Option<&Path>, patience: Patience) -> Result<Self, AuthorityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(file)?)
            .with_no_client_auth();
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(TIME / 2));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, patience })
    }
}

/// Whether there is any root to trust where no file is named.
///
/// # Errors
/// [`AuthorityError`] when they cannot be read, or there is none.
pub(crate) fn system_roots() -> Result<(), AuthorityError> {
    roots(None).map(drop)
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, AuthorityError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let path = file.map(Path::to_owned).or(named).unwrap_or_else(|| SYSTEM_ROOTS.into());
    let bytes = std::fs::read(&path).map_err(|error| AuthorityError::Roots(path.clone(), error))?;
    let found = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found).0 == 0 {
        return Err(AuthorityError::NoRoot(path));
    }
    Ok(roots)
}

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Authority {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let (asked, patience) = (self.client.request(request), self.patience.clone());
        Box::pin(async move {
            let whole = async {
                let (parts, body) = asked.await.map_err(|error| other(&error))?.into_parts();
                let limited = Limited::new(body, LARGEST).collect().await;
                let body = limited.map_err(|error| other(error.as_ref()))?.to_bytes();
                Ok::<_, Error>((parts, body))
            };
            let late = |_| Error::Other("no answer within a minute".into());
            let (parts, body) = tokio::time::timeout(TIME, whole).await.map_err(late)??;
            if !parts.status.is_success() {
                patience.note(&parts.headers);
                // What an authority's front end says when it is overloaded is no JSON.
                if !body.trim_ascii_start().starts_with(b"{") {
                    return Err(Error::Other(format!("it answers {}", parts.status).into()));
                }
            }
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// The error with everything behind it: "client error (Connect)" alone helps nobody.
fn other(error: &(dyn StdError + 'static)) -> Error {
    Error::Other(explained(error).into())
}

/// An error and its causes, in one line.
pub fn explained(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn roots_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        assert!(matches!(roots(Some(&path)), Err(AuthorityError::Roots(..))));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(roots(Some(&path)), Err(AuthorityError::NoRoot(_))));
    }
}
