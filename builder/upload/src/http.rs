//! Requests as data, and the one client that sends them.
//!
//! In: a closure that makes a request, called anew for every try, as signatures hold the time. Out: the answer, or
//! an error once trying again does not help. Redirects are not followed: no credential goes where it was not
//! sent. Plain HTTP is for loopback, unless a setting allows it. TLS trusts what the platform trusts
//! (`SSL_CERT_FILE` included), proxies come from `HTTP_PROXY` and `HTTPS_PROXY`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use reqwest::blocking::{Body as ClientBody, Client};
use reqwest::{Certificate, Method, redirect};
use serde_json::Value;

use crate::error::{UploadError, presentable};
use crate::progress::Progress;
use crate::retry::{Patience, dice};

/// How long a server may take to accept a connection, and to answer beyond the time that the body takes.
const SILENCE: Duration = Duration::from_secs(60);
/// The slowest line that is waited for, in bytes a second.
const SLOWEST: u64 = 16 << 10;
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 8 << 20;

/// What goes with a request.
#[derive(Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, read while it is sent; `head` before it and `tail` after it.
    File {
        /// Its path.
        path: PathBuf,
        /// The first byte to send.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// What goes before.
        head: Bytes,
        /// What comes after.
        tail: Bytes,
        /// Hears how many bytes of the file were sent.
        sent: Arc<dyn Fn(u64) + Send + Sync>,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.length())
    }
}

impl Body {
    fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, head, tail, .. } => length + (head.len() + tail.len()) as u64,
        }
    }
}

/// A request as data. Its address and headers may hold secrets, which `Debug` leaves out.
#[derive(Clone)]
pub struct Request {
    /// GET, HEAD, PUT, POST, PATCH or DELETE.
    pub method: &'static str,
    /// Scheme, host, path and query.
    pub url: String,
    /// In the order in which they were added; names in lower case.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Body::Empty }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// With these bytes as the body.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// With a JSON document as the body.
    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").bytes(value.to_string())
    }

    /// With a form as the body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        self.header("content-type", "application/x-www-form-urlencoded").bytes(pairs.join("&"))
    }

    /// The value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// At most 8 MiB.
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`UploadError::Answer`] where it is none.
    pub fn json(&self, what: &str) -> Result<Value, UploadError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| UploadError::answer(what, format!("no JSON: {error}")))
    }

    /// The server's code and words of a failure: from JSON as clouds write it, from XML, or else none. Only these
    /// fields are taken: the rest of an error may repeat parts of the request.
    pub fn complaint(&self) -> (String, String) {
        let text = self.text();
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let inner = match &value {
                Value::Object(map) => map
                    .get("error")
                    .or_else(|| map.get("badRequest"))
                    .filter(|it| it.is_object())
                    .unwrap_or(&value),
                _ => &value,
            };
            let field = |names: &[&str]| {
                names.iter().find_map(|name| match inner.get(name).or_else(|| value.get(name)) {
                    Some(Value::String(text)) => Some(presentable(text)),
                    Some(Value::Number(number)) => Some(number.to_string()),
                    _ => None,
                })
            };
            let code = field(&["code", "Code", "__type", "id", "title"]).unwrap_or_default();
            let message = field(&["message", "Message", "error_description", "error"]);
            return (code, message.unwrap_or_default());
        }
        if let Ok(document) = roxmltree::Document::parse(text.trim_start_matches('\u{feff}')) {
            let field = |name| {
                let node = document.descendants().find(|node| node.has_tag_name(name));
                presentable(node.and_then(|node| node.text()).unwrap_or_default())
            };
            return (field("Code"), field("Message"));
        }
        (String::new(), String::new())
    }

    /// The error that this answer is.
    pub fn refused(&self, what: &str) -> UploadError {
        let (code, mut message) = self.complaint();
        if message.is_empty() {
            message = reason_of(self.status).to_owned();
        }
        if ["ExpiredToken", "ExpiredTokenException", "RequestExpired"].contains(&code.as_str()) {
            return UploadError::Expired { what: what.to_owned() };
        }
        let quota = matches!(self.status, 402 | 413 | 507)
            || ["quota", "limitexceeded", "limit exceeded", "resource_limit"]
                .iter()
                .any(|word| format!("{code} {message}").to_lowercase().contains(word));
        let hint = quota.then(|| {
            "there is no room: remove old images (`mailkiln upload DEST --prune N`) or ask for a \
             larger quota"
                .to_owned()
        });
        UploadError::Refused { what: what.to_owned(), status: self.status, code, message, hint }
    }

    /// The same answer if its status is 2xx.
    ///
    /// # Errors
    /// [`UploadError::Refused`] or [`UploadError::Expired`].
    pub fn success(self, what: &str) -> Result<Self, UploadError> {
        if self.is_success() { Ok(self) } else { Err(self.refused(what)) }
    }

    /// Whether the same request may be answered otherwise in a moment.
    fn is_transient(&self) -> bool {
        match self.status {
            408 | 425 | 429 | 500 | 502 | 503 | 504 => true,
            // AWS says so with a code; Hetzner when a server is busy with something else.
            400 | 409 | 423 => {
                let code = self.complaint().0;
                ["Throttl", "RequestLimitExceeded", "RequestTimeout", "OperationAborted"]
                    .iter()
                    .any(|word| code.contains(word))
                    || ["locked", "conflict"].contains(&code.as_str())
            }
            _ => false,
        }
    }

    /// How long the server asks to wait (RFC 9110 §10.2.3, seconds only).
    fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after").parse().ok().map(Duration::from_secs)
    }
}

fn reason_of(status: u16) -> &'static str {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason was given")
}

/// The client of one upload. One for a whole run, so that connections are used again.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    plain: bool,
    /// How patient it is.
    pub patience: Patience,
}

impl Http {
    /// A client that trusts the platform's certificates and those of `authority`, a PEM file.
    ///
    /// # Errors
    /// When the file can't be read, or there is no TLS.
    pub fn new(
        authority: Option<&PathBuf>,
        plain: bool,
        patience: Patience,
    ) -> Result<Self, UploadError> {
        // The first to install a provider wins; any of them will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("mailkiln/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .connect_timeout(SILENCE)
                .timeout(None)
                .pool_max_idle_per_host(8)
        };
        let mut trusting = builder();
        if let Some(path) = authority {
            let pem = std::fs::read(path).map_err(UploadError::file("read", path))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| UploadError::Setting {
                    message: format!("{}: {}", path.display(), reason(&error)),
                    hint: "give a file of certificates in PEM".to_owned(),
                })?;
            trusting = trusting.tls_certs_merge(certificates);
        }
        // A machine without a single trusted certificate can still speak plain HTTP.
        let client = trusting.build().or_else(|_| builder().tls_certs_only([]).build());
        let client = client.map_err(|error| UploadError::Unreachable {
            what: "preparing TLS".to_owned(),
            tries: 1,
            reason: reason(&error),
        })?;
        Ok(Self { client, plain, patience })
    }

    /// Sends what `make` makes until there is an answer that stays: every status but those that pass.
    ///
    /// # Errors
    /// [`UploadError::Unreachable`] after the last try; whatever `make` returns.
    pub fn send(
        &self,
        what: &str,
        make: impl Fn() -> Result<Request, UploadError>,
    ) -> Result<Response, UploadError> {
        let mut failed = 0;
        loop {
            let request = make()?;
            self.check(&request.url)?;
            let outcome = self.once(request);
            failed += 1;
            let (reason, asked) = match outcome {
                Ok(response) if !response.is_transient() => return Ok(response),
                Ok(response) => {
                    let (code, message) = response.complaint();
                    let words = format!("HTTP {} {code} {message}", response.status);
                    (presentable(&words), response.retry_after())
                }
                Err(reason) => (reason, None),
            };
            if failed >= self.patience.tries {
                return Err(UploadError::Unreachable {
                    what: what.to_owned(),
                    tries: failed,
                    reason,
                });
            }
            let pause = self.patience.pause(failed, dice(), asked);
            tracing::info!(what, failed, reason, ?pause, "trying again");
            thread::sleep(pause);
        }
    }

    /// As [`send`](Self::send), for requests that need no signature; anything but 2xx is an error.
    ///
    /// # Errors
    /// As `send`, and [`UploadError::Refused`].
    pub fn fetch(&self, what: &str, request: Request) -> Result<Response, UploadError> {
        self.send(what, || Ok(request.clone()))?.success(what)
    }

    /// Looks again and again until `look` finds an end.
    ///
    /// # Errors
    /// [`UploadError::Slow`] after `minutes`; whatever `look` returns.
    pub fn wait<T>(
        &self,
        what: &str,
        minutes: u64,
        progress: &dyn Progress,
        mut look: impl FnMut() -> Result<Option<T>, UploadError>,
    ) -> Result<T, UploadError> {
        progress.step(&format!("waiting: {what}"));
        let looks =
            Duration::from_secs(minutes * 60).as_millis() / self.patience.look.as_millis().max(1);
        for _ in 0..looks.max(1) {
            if let Some(found) = look()? {
                return Ok(found);
            }
            thread::sleep(self.patience.look);
        }
        Err(UploadError::Slow { what: what.to_owned(), minutes })
    }

    /// Refuses to send credentials over plain HTTP into a network.
    fn check(&self, url: &str) -> Result<(), UploadError> {
        let Some(rest) = url.strip_prefix("http://") else { return Ok(()) };
        if self.plain || is_loopback(host_of(rest)) {
            return Ok(());
        }
        Err(UploadError::Setting {
            message: format!("`http://{}` would get the credentials unencrypted", host_of(rest)),
            hint: "use https://, or allow it with `--set plain-http=yes`".to_owned(),
        })
    }

    /// One try.
    fn once(&self, request: Request) -> Result<Response, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|it| it.to_string())?;
        let length = request.body.length();
        let patience = SILENCE + Duration::from_secs(length / SLOWEST);
        let mut builder = self.client.request(method, &request.url).timeout(patience);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder = match request.body {
            Body::Empty if matches!(request.method, "PUT" | "POST") => {
                builder.header("content-length", "0")
            }
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes),
            Body::File { path, offset, length: part, head, tail, sent } => {
                let mut file = File::open(&path).map_err(|error| error.to_string())?;
                file.seek(SeekFrom::Start(offset)).map_err(|error| error.to_string())?;
                let counted = Counted { inner: file.take(part), sent };
                let whole = io::Cursor::new(head).chain(counted).chain(io::Cursor::new(tail));
                builder.body(ClientBody::sized(whole, length))
            }
        };
        let response = builder.send().map_err(|error| reason(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut body = Vec::new();
        response.take(LONGEST).read_to_end(&mut body).map_err(|error| error.to_string())?;
        Ok(Response { status, headers, body })
    }
}

/// Tells how much of a file was read.
struct Counted {
    inner: io::Take<File>,
    sent: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.sent)(count as u64);
        Ok(count)
    }
}

/// The innermost cause, which says most; never the address, which may hold a signature.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "no answer in time".to_owned(),
        Some(_) => "the connection failed".to_owned(),
        None => presentable(&cause.to_string()),
    }
}

/// The host in `host:port/path`.
pub fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether `host` or `host:port` is this machine by its number or name.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Everything but RFC 3986's unreserved characters in percent encoding.
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The same with slashes left as they are, for paths.
pub fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// `name=value&…`, encoded, in the order given.
pub fn query(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
