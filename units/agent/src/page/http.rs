//! As much of HTTP/1.1 as one form takes: one request per connection, a head of at most 8 KiB, a body
//! of at most 4 KiB with its length given. Sources: RFC 9112; the URL standard for forms.

/// Longest head, to the empty line.
pub(super) const HEAD: usize = 8 * 1024;
/// Longest body.
pub(super) const BODY: usize = 4 * 1024;

/// Why bytes are not a request that the page takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// More bytes are needed.
    Unfinished,
    /// Head or body is too long.
    TooLong,
    /// It breaks the protocol, or uses a part of it that the page does without.
    Malformed,
}

/// One request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// `GET`.
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    fields: Vec<(String, String)>,
}

/// Fields are passwords.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Request {
    /// Reads all of a request.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
            return Err(if bytes.len() > HEAD { Bad::TooLong } else { Bad::Unfinished });
        };
        if end > HEAD {
            return Err(Bad::TooLong);
        }
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Bad::Malformed)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Bad::Malformed);
        };
        let length = length(lines)?;
        let body = &bytes[end + 4..];
        if length > BODY {
            return Err(Bad::TooLong);
        }
        if body.len() < length {
            return Err(Bad::Unfinished);
        }
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Ok(Self { method: method.to_owned(), path, fields: form(&body[..length])? })
    }

    /// A field of the form.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The length of the body. One of unknown length, or with two lengths, is how requests are smuggled
/// past proxies: RFC 9112 section 6.3.
fn length<'a>(lines: impl Iterator<Item = &'a str>) -> Result<usize, Bad> {
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Bad::Malformed)?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Bad::Malformed);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim();
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            if !digits || length.is_some() {
                return Err(Bad::Malformed);
            }
            length = Some(value.parse().map_err(|_| Bad::TooLong)?);
        }
    }
    Ok(length.unwrap_or(0))
}

/// `application/x-www-form-urlencoded`.
fn form(body: &[u8]) -> Result<Vec<(String, String)>, Bad> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            Ok((half()?, half()?))
        })
        .collect()
}

fn decoded(text: &[u8]) -> Result<String, Bad> {
    let mut bytes = text.iter().copied();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(Bad::Malformed);
                u8::try_from(digit()? << 4 | digit()?).map_err(|_| Bad::Malformed)?
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).map_err(|_| Bad::Malformed)
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    /// Status code.
    pub(super) status: u16,
    body: String,
}

impl Response {
    /// A page with `content` as its body.
    pub(super) fn page(status: u16, content: &str) -> Self {
        let body = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Password</title>\n\
             {content}\n</html>\n"
        );
        Self { status, body }
    }

    /// Its bytes; without the body for `HEAD`.
    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            429 => "Too Many Requests",
            _ => "Service Unavailable",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n\r\n",
            self.status,
            self.body.len()
        );
        let body = if with_body { self.body.as_str() } else { "" };
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// Reads `bytes` as a request.
pub(super) fn fuzz(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        let _ = (request.field("old"), format!("{request:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET /")),
            ("GET /?a=b HTTP/1.0\r\n\r\n", Ok("GET /")),
            ("GET / HTTP/1.1\r\nHost: a\r\n", Err(Bad::Unfinished)),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=", Err(Bad::Unfinished)),
            ("POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n", Err(Bad::TooLong)),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", Err(Bad::TooLong)),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
                Err(Bad::Malformed),
            ),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", Err(Bad::Malformed)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Err(Bad::Malformed)),
            ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n%4", Err(Bad::Malformed)),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n%FF", Err(Bad::Malformed)),
            ("GET  / HTTP/1.1\r\n\r\n", Err(Bad::Malformed)),
            ("GET / HTTP/2\r\n\r\n", Err(Bad::Malformed)),
            ("GET / HTTP/1.1\r\nnonsense\r\n\r\n", Err(Bad::Malformed)),
        ] {
            let parsed = Request::parse(text.as_bytes()).map(|it| format!("{it:?}"));
            assert_eq!(parsed, expected.map(str::to_owned), "{text:?}");
        }
        assert_eq!(Request::parse(&[b'a'; HEAD + 1]), Err(Bad::TooLong));
    }

    #[test]
    fn fields_of_a_form() {
        let text = "POST / HTTP/1.1\r\nContent-Length: 25\r\n\r\na=b+c%26&d=%C3%BC=&e&=x&y=";
        let request = Request::parse(text.as_bytes()).unwrap();
        assert_eq!(request.field("a"), Some("b c&"));
        assert_eq!(request.field("d"), Some("ü="));
        assert_eq!(request.field("e"), Some(""));
        assert_eq!(request.field("z"), None);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&bytes);
            let head = b"POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n";
            fuzz(&[&head[..], &bytes].concat());
        }
    }
}
