//! AWS Signature Version 4.
//!
//! In: a request with all its headers, keys, region and service, a moment. Out: the header `authorization`. Source:
//! "Create a signed AWS API request" and, for S3, "Authenticating Requests: Using the Authorization Header".

use std::fmt::Write as _;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::http::{Request, encode, host_of};
use crate::parts::hex;

/// Keys of an account, or of a session.
#[derive(Clone)]
pub struct Keys {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// Of a session alone.
    pub token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// For which part of the cloud a signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// As `eu-central-1`.
    pub region: String,
    /// As `s3`.
    pub service: &'static str,
}

/// Digest of an empty body.
pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Adds `host`, `x-amz-date`, a session's token and `authorization`. All headers that the request has are signed.
/// `payload` is the SHA-256 of the body in hexadecimal. The path is used as it stands in the URL: it must be
/// encoded, once for S3; other services would encode it again, which changes nothing for unreserved characters.
#[must_use]
pub fn sign(
    request: Request,
    payload: &str,
    keys: &Keys,
    scope: &Scope,
    now: Timestamp,
) -> Request {
    let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let url = request.url.clone();
    let (host, path, query) = split(&url);
    let mut request = request.header("host", host).header("x-amz-date", &moment);
    if let Some(token) = &keys.token {
        request = request.header("x-amz-security-token", token);
    }
    let (headers, names) = canonical_headers(&request);
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{names}\n{payload}",
        request.method,
        canonical_query(query)
    );
    let day = &moment[..8];
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{moment}\n{scope_text}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for word in [day, &scope.region, scope.service, "aws4_request"] {
        key = hmac_sha256(&key, word.as_bytes());
    }
    let signature = hex(&hmac_sha256(&key, to_sign.as_bytes()));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope_text}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    request.header("authorization", value)
}

/// HMAC with SHA-256.
pub fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// Host, path and query of a URL.
pub fn split(url: &str) -> (&str, &str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host_of(rest);
    let after = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    (host, if path.is_empty() { "/" } else { path }, query)
}

/// Names in order, values without blanks around them and with single ones inside.
fn canonical_headers(request: &Request) -> (String, String) {
    let mut headers: Vec<(&str, String)> = request
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str(), value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    headers.sort();
    let mut lines = String::new();
    for (name, value) in &headers {
        let _ = writeln!(lines, "{name}:{value}");
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    (lines, names.join(";"))
}

/// Fields in order of their names, then of their values; one without a value has an empty one.
fn canonical_query(query: &str) -> String {
    let mut fields: Vec<(&str, &str)> = query
        .split('&')
        .filter(|field| !field.is_empty())
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .collect();
    fields.sort_unstable();
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.join("&")
}

/// A query of fields that are not encoded yet.
pub fn fields(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "aws-sig-v4-test-suite" and the examples of S3's reference: method, URL, headers, body, signature.
    #[test]
    fn published_vectors() {
        let suite = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let service = Scope { region: "us-east-1".to_owned(), service: "service" };
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        for (method, url, signature) in [
            ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let request = Request::new(method, format!("https://example.amazonaws.com{url}"));
            let signed = sign(request, EMPTY, &suite, &service, now);
            let value = signed.value("authorization").unwrap();
            assert!(value.ends_with(&format!("Signature={signature}")), "{method} {url}: {value}");
            assert!(value.contains("SignedHeaders=host;x-amz-date,"));
        }
    }

    #[test]
    fn published_vectors_of_s3() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let s3 = Scope { region: "us-east-1".to_owned(), service: "s3" };
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let host = "https://examplebucket.s3.amazonaws.com";
        let welcome = sha256(b"Welcome to Amazon S3.");
        let get = |path: &str| {
            Request::new("GET", format!("{host}{path}")).header("x-amz-content-sha256", EMPTY)
        };
        let put = Request::new("PUT", format!("{host}/test%24file.text"))
            .header("Date", "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .header("x-amz-content-sha256", &welcome);
        for (request, payload, signature) in [
            (
                get("/test.txt").header("Range", "bytes=0-9"),
                EMPTY,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (put, &welcome, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            (
                get("/?lifecycle"),
                EMPTY,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                get("/?max-keys=2&prefix=J"),
                EMPTY,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let url = request.url.clone();
            let signed = sign(request, payload, &keys, &s3, now);
            let value = signed.value("authorization").unwrap();
            assert!(value.ends_with(&format!("Signature={signature}")), "{url}: {value}");
        }
    }

    #[test]
    fn a_session_signs_its_token() {
        let keys =
            Keys { id: "A".into(), secret: "secret".into(), token: Some("token".to_owned()) };
        let scope = Scope { region: "r".to_owned(), service: "ec2" };
        let signed =
            sign(Request::new("GET", "https://x"), EMPTY, &keys, &scope, Timestamp::UNIX_EPOCH);
        assert!(signed.value("authorization").unwrap().contains("x-amz-security-token"));
        assert!(!format!("{keys:?}").contains("secret"));
    }
}
