//! Shared Key of Azure Storage.
//!
//! In: a request with all its headers, an account and its key. Out: the header `authorization`. Source: "Authorize with Shared
//! Key", Blob service, version 2015-02-21 and later.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::aws::{hmac_sha256, split};
use crate::http::Request;

/// Headers that are signed by their place, without their names.
const PLACES: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// What is signed. `length` is that of the body.
pub fn text(request: &Request, account: &str, length: usize) -> String {
    let mut text = format!("{}\n", request.method);
    for name in PLACES {
        let value = match name {
            "content-length" if length > 0 => length.to_string(),
            "content-length" => String::new(),
            name => request.value(name).unwrap_or_default().to_owned(),
        };
        text.push_str(&value);
        text.push('\n');
    }
    let own: BTreeMap<&str, &str> = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.trim()))
        .collect();
    for (name, value) in own {
        text.push_str(&format!("{name}:{value}\n"));
    }
    let (_, path, query) = split(&request.url);
    text.push_str(&format!("/{account}{path}"));
    let fields: BTreeMap<&str, &str> =
        query.split('&').filter_map(|field| field.split_once('=')).collect();
    for (name, value) in fields {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

/// Adds the signature. `key` is the account's, decoded. Query values must need no encoding.
#[must_use]
pub fn sign(request: Request, account: &str, key: &[u8], length: usize) -> Request {
    let signature = BASE64.encode(hmac_sha256(key, text(&request, account, length).as_bytes()));
    request.header("authorization", format!("SharedKey {account}:{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "Constructing the canonicalized resource string" with a container's metadata, and that of Put Blob.
    #[test]
    fn what_is_signed_has_the_documented_form() {
        let url =
            "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata";
        let request = Request::new("GET", url)
            .header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT")
            .header("x-ms-version", "2015-02-21");
        assert_eq!(
            text(&request, "myaccount", 0),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container"
        );
        let put = Request::new("PUT", "https://a/c/b").header("Content-MD5", "sum");
        assert!(text(&put, "a", 5).starts_with("PUT\n\n\n5\nsum\n\n"));
    }
}
