//! What of a head goes on, in both directions. What is not named here stays: a list of what to remove would miss what comes next.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::client::Client;

/// Methods of DAV and its extensions (RFC 4918, 3253, 3744, 4791, 5842). No TRACE, no CONNECT, nothing of tomorrow.
const METHODS: &[&str] = &[
    "ACL",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LOCK",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "REPORT",
    "UNLOCK",
];

/// Headers of clients that the mail server needs. Not one of them says where a body ends, who the client is, or which host is meant.
static REQUEST: [HeaderName; 28] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    header::USER_AGENT,
    HeaderName::from_static("brief"),
    HeaderName::from_static("depth"),
    HeaderName::from_static("destination"),
    HeaderName::from_static("if"),
    HeaderName::from_static("if-schedule-tag-match"),
    HeaderName::from_static("lock-token"),
    HeaderName::from_static("overwrite"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("schedule-reply"),
    HeaderName::from_static("timeout"),
    HeaderName::from_static("x-requested-with"),
];

/// Headers of the mail server that clients need. Cookies and policies are ours to set.
static RESPONSE: [HeaderName; 23] = [
    header::ACCEPT_RANGES,
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
    header::VARY,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("dav"),
    HeaderName::from_static("lock-token"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("schedule-tag"),
    HeaderName::from_static("timeout"),
];

/// Whether the mail server may be asked so.
pub(super) fn is_method(method: &Method) -> bool {
    METHODS.contains(&method.as_str())
}

/// Whether `path` is below `/dav/` however it is read: no segment leads up or is empty, nothing is a separator in disguise.
pub(super) fn is_path(path: &str) -> bool {
    let Some(below) = path.strip_prefix("/dav/") else { return false };
    let lower = below.to_ascii_lowercase();
    let disguised = ["%2f", "%5c", "%00", "%0a", "%0d", "\\"].iter().any(|it| lower.contains(it));
    let plain = lower.replace("%2e", ".");
    // Collections end with a slash: the last segment may be empty, others not.
    let inner = plain.strip_suffix('/').unwrap_or(&plain);
    let segments = inner.split('/').all(|it| !matches!(it, "" | "." | ".."));
    !disguised && segments && path.len() <= 4096
}

/// Whether nothing about the body's length is contradictory. hyper has refused the worst already; a head with two answers to one question is
/// not handed on, whatever each reader would make of it (RFC 9112, section 6.3).
pub(super) fn is_framed(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).iter().collect();
    let known = lengths == 0 || length(headers).is_some();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    match codings.as_slice() {
        [] => lengths <= 1 && known,
        [one] => lengths == 0 && chunked(one),
        _ => false,
    }
}

/// The length that the client names, if it is one number of digits alone.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The head for the mail server: what clients may say, and what only we know.
pub(super) fn request(from: &HeaderMap, host: &str, client: Client) -> HeaderMap {
    let mut to = chosen(from, &REQUEST);
    // The same secret twice is an attempt to make two readers choose differently.
    if from.get_all(header::AUTHORIZATION).iter().count() > 1 {
        to.remove(header::AUTHORIZATION);
    }
    let ours = [
        (header::HOST, host.to_owned()),
        (HeaderName::from_static("x-forwarded-for"), client.address.to_string()),
        (HeaderName::from_static("x-forwarded-host"), host.to_owned()),
        (HeaderName::from_static("x-forwarded-proto"), "https".to_owned()),
    ];
    for (name, value) in ours {
        if let Ok(value) = HeaderValue::try_from(value) {
            to.insert(name, value);
        }
    }
    to
}

/// The head for the client.
pub(super) fn response(from: &HeaderMap) -> HeaderMap {
    chosen(from, &RESPONSE)
}

fn chosen(from: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut to = HeaderMap::new();
    for name in names {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
    to
}

/// Reads lines as a head, and looks at what would go on.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut from = HeaderMap::new();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let path = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value.get(1..).unwrap_or_default()),
        ) {
            from.append(name, value);
        }
    }
    let client = Client {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        secure: true,
    };
    let to = request(&from, "mail.example.org", client);
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::FORWARDED,
        header::COOKIE,
    ] {
        assert!(!to.contains_key(&name), "{name}");
    }
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.1"),
        ("host", "mail.example.org"),
        ("x-forwarded-proto", "https"),
    ] {
        let values: Vec<_> = to.get_all(name).iter().collect();
        assert!(values == [value], "{name}: {values:?}");
    }
    assert!(to.get_all(header::AUTHORIZATION).iter().count() <= 1, "two secrets");
    if is_framed(&from) {
        let (lengths, codings) =
            (from.get_all(header::CONTENT_LENGTH), from.get_all(header::TRANSFER_ENCODING));
        assert!(lengths.iter().count() + codings.iter().count() <= 1, "two framings");
    }
    if is_path(&path) {
        assert!(
            path.starts_with("/dav/")
                && path.split('/').all(|part| part != "..")
                && !path.contains('\\'),
            "{path}"
        );
    }
    let _ = response(&from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn framings() {
        for (lines, expected) in [
            (&[][..], true),
            (&[("content-length", "5")], true),
            (&[("transfer-encoding", "chunked")], true),
            (&[("transfer-encoding", "Chunked")], true),
            (&[("content-length", "5"), ("content-length", "5")], false),
            (&[("content-length", "5"), ("transfer-encoding", "chunked")], false),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "xchunked")], false),
            (&[("content-length", "+5")], false),
            (&[("content-length", "5, 5")], false),
            (&[("content-length", "99999999999999999999999")], false),
            (&[("content-length", "")], false),
        ] {
            assert_eq!(is_framed(&head(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn paths() {
        for good in [
            "/dav/cal",
            "/dav/cal/alice%40example.org/default/",
            "/dav/cal/a/b..c.ics",
            "/dav/card/%C3%BC",
        ] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "/dav",
            "/dav/",
            "/davx/a",
            "/api/principal",
            "/dav/../api",
            "/dav/%2e%2e/api",
            "/dav/.%2E/api",
            "/dav//api",
            "/dav/a/./b",
            "/dav/a%2fb",
            "/dav/a%5Cb",
            "/dav/a\\b",
            "/dav/a%00",
            "/dav/a%0d%0ab",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn what_clients_claim_to_be_stays_here() {
        let client = Client { address: "192.0.2.1".parse().unwrap(), secure: true };
        let from = head(&[
            ("forwarded", "for=198.51.100.1"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-real-ip", "198.51.100.1"),
            ("host", "evil.test"),
            ("cookie", "__Host-session=secret"),
            ("connection", "authorization"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("depth", "1"),
            ("authorization", "Basic YTpi"),
        ]);
        let to = request(&from, "mail.example.org", client);
        let mut names: Vec<_> = to.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "authorization",
                "depth",
                "host",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto"
            ]
        );
        assert_eq!(to["x-forwarded-for"], "192.0.2.1");
        let back = response(&head(&[
            ("set-cookie", "a=b"),
            ("etag", "\"1\""),
            ("server", "x"),
            ("connection", "close"),
        ]));
        assert_eq!(back.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }

    proptest! {
        #[test]
        fn foreign_heads_never_get_through(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&bytes);
            let lines = b"/dav/cal\ncontent-length:3\ntransfer-encoding:";
            fuzz(&[&lines[..], &bytes].concat());
        }
    }
}
