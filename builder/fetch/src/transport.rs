//! One address, opened for reading: over HTTP(S) or from a local folder.
//!
//! In: an address and the byte to begin at. Out: a reader and where it really begins. TLS trusts
//! what the platform trusts (`SSL_CERT_FILE` included), proxies come from `HTTP_PROXY` and
//! `HTTPS_PROXY`.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header;

use crate::mirror::without_credentials;

/// How long a server may keep silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens addresses. One for a whole run, so that connections are used again.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    client: OnceLock<Client>,
    /// Trusts no certificate at all.
    plain: OnceLock<Client>,
}

/// An open address.
pub(crate) struct Stream {
    /// The bytes from `start` on.
    pub(crate) body: Box<dyn Read>,
    /// Position of the first byte: what was asked for, or 0.
    pub(crate) start: u64,
    /// How many bytes come, where that is known beforehand.
    pub(crate) length: Option<u64>,
}

impl Stream {
    fn of(response: Response, start: u64) -> Self {
        // Not what `content_length` says: that is 0 where the length is unknown.
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        Self { body: Box::new(response), start, length }
    }
}

/// Why an address can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server is well, but does not have the file.
    Missing,
    /// It may go better in a moment.
    Temporary(String),
    /// It will not.
    Permanent(String),
}

impl Transport {
    /// Opens `address` at byte `from`, or at its beginning where that can't be had.
    pub(crate) fn open(&self, address: &str, from: u64) -> Result<Stream, Refusal> {
        match address.strip_prefix("file://") {
            Some(path) => open_file(path, from),
            None => self.open_http(address, from),
        }
    }

    fn open_http(&self, address: &str, from: u64) -> Result<Stream, Refusal> {
        let mut request = self.client(address)?.get(address);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = request.send().map_err(|error| classify(&error, address))?;
        let status = response.status();
        match status {
            StatusCode::OK => Ok(Stream::of(response, 0)),
            StatusCode::PARTIAL_CONTENT if begins_at(&response) == Some(from) => {
                Ok(Stream::of(response, from))
            }
            // The file there ends before `from`: it can't be the one that is wanted.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => self.open_http(address, 0),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Refusal::Missing),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(Refusal::Temporary(status.to_string()))
            }
            _ if status.is_server_error() => Err(Refusal::Temporary(status.to_string())),
            _ => Err(Refusal::Permanent(status.to_string())),
        }
    }

    /// The client for an address. A machine without a single trusted certificate can still speak
    /// plain HTTP, as apt does there.
    fn client(&self, address: &str) -> Result<&Client, Refusal> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // The first to install a provider wins; any of them will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("mailkiln/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(PATIENCE)
                .timeout(PATIENCE)
        };
        match builder().build() {
            Ok(client) => Ok(self.client.get_or_init(|| client)),
            Err(error) if address.starts_with("https:") => Err(Refusal::Permanent(format!(
                "no TLS ({}): is the package ca-certificates installed?",
                reason(&error)
            ))),
            Err(_) => {
                let plain = builder().tls_certs_only([]).build();
                let plain = plain.map_err(|error| Refusal::Permanent(reason(&error)))?;
                Ok(self.plain.get_or_init(|| plain))
            }
        }
    }
}

fn open_file(path: &str, from: u64) -> Result<Stream, Refusal> {
    let open = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let length = file.metadata()?.len().saturating_sub(from);
        Ok::<_, io::Error>((file, length))
    };
    match open() {
        Ok((file, length)) => {
            Ok(Stream { body: Box::new(file), start: from, length: Some(length) })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::Missing),
        Err(error) => Err(Refusal::Permanent(error.to_string())),
    }
}

/// The first position in `Content-Range: bytes 5-9/10` (RFC 9110 §14.4).
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn classify(error: &reqwest::Error, address: &str) -> Refusal {
    if error.is_builder() || error.is_redirect() {
        return Refusal::Permanent(reason(error));
    }
    let proxy = proxy(address, |name| std::env::var(name).ok()).filter(|_| error.is_connect());
    Refusal::Temporary(match proxy {
        Some(proxy) => format!("{} (asked through the proxy {proxy})", reason(error)),
        None => reason(error),
    })
}

/// The proxy that `address` is asked through, as `NAME=PROXY` without what may be secret in it. Of the variables
/// that say so, reqwest takes the first that is set, those in lower case first.
fn proxy(address: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let host = host.rsplit_once(':').map_or(host, |(host, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { rest }
    });
    let set = |name: &str| {
        let name = [name.to_owned(), name.to_ascii_uppercase()];
        name.into_iter().find_map(|name| Some((variable(&name).filter(|it| !it.is_empty())?, name)))
    };
    if let Some((list, _)) = set("no_proxy") {
        let covers = |entry: &str| {
            let entry = entry.trim().trim_start_matches('.');
            entry == "*" || host == entry || host.ends_with(&format!(".{entry}"))
        };
        if list.split(',').filter(|entry| !entry.trim().is_empty()).any(covers) {
            return None;
        }
    }
    let (proxy, name) = set(&format!("{scheme}_proxy")).or_else(|| set("all_proxy"))?;
    Some(format!("{name}={}", without_credentials(&proxy)))
}

/// The innermost cause, which says most; never the address, which may hold credentials.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(_) => without_credentials(&cause.to_string()),
        None => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::proxy;

    #[test]
    fn the_proxy_that_is_in_between_is_named() {
        for (address, set, expected) in [
            (
                "http://a.org/x",
                &[("http_proxy", "http://p:3128")][..],
                Some("http_proxy=http://p:3128"),
            ),
            ("https://a.org/x", &[("http_proxy", "http://p:3128")], None),
            (
                "https://a.org:8443/x",
                &[("HTTPS_PROXY", "http://p:1")],
                Some("HTTPS_PROXY=http://p:1"),
            ),
            ("http://a.org/x", &[("ALL_PROXY", "socks5://p:1")], Some("ALL_PROXY=socks5://p:1")),
            (
                "http://a.org/x",
                &[("http_proxy", ""), ("HTTP_PROXY", "http://q")],
                Some("HTTP_PROXY=http://q"),
            ),
            (
                "http://deb.a.org/x",
                &[("http_proxy", "http://p"), ("no_proxy", "b.org, .a.org")],
                None,
            ),
            ("http://b.a.org:80/x", &[("http_proxy", "http://p"), ("NO_PROXY", "*")], None),
            (
                "http://ba.org/x",
                &[("http_proxy", "http://p"), ("no_proxy", "a.org")],
                Some("http_proxy=http://p"),
            ),
            ("file:///x", &[("http_proxy", "http://p")], None),
        ] {
            let variable = |name: &str| {
                set.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(proxy(address, variable).as_deref(), expected, "{address} {set:?}");
        }
        let secret = |name: &str| (name == "http_proxy").then(|| "http://me:secret@p:1".to_owned());
        let named = proxy("http://a.org/", secret).unwrap();
        assert!(named.contains("p:1") && !named.contains("secret"), "{named}");
    }
}
