//! As much of HTTP/1.1 as requests without a body need: RFC 9112.
//!
//! In: bytes of a connection. Out: method and path; then a response, and the connection closes.

use std::io::{self, Read, Write};

use serde_json::{Value, json};

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8192;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// `/v1/status`, without a query.
    pub path: String,
}

/// Bytes that are no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Connection(#[from] io::Error),
    /// Not what RFC 9112 section 3 describes.
    #[error("this is not the request line of HTTP/1.1")]
    Line,
    /// Too long.
    #[error("the head of the request is longer than {LONGEST_HEAD} bytes")]
    Length,
}

/// Reads the head of a request; a body would be ignored.
///
/// # Errors
/// [`RequestError`] for anything else.
pub fn read(from: &mut impl Read) -> Result<Request, RequestError> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return Err(RequestError::Length);
        }
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| RequestError::Line)?;
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        [method, target, version] if target.starts_with('/') && version.starts_with("HTTP/1.") => {
            let path = target.split('?').next().unwrap_or_default();
            Ok(Request { method: (*method).to_owned(), path: path.to_owned() })
        }
        _ => Err(RequestError::Line),
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Media type.
    pub kind: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A value, with status 200.
    pub fn json(value: &Value) -> Self {
        Self { status: 200, kind: "application/json", body: format!("{value}\n").into_bytes() }
    }

    /// What went wrong.
    pub fn error(status: u16, why: &str) -> Self {
        Self { status, ..Self::json(&json!({ "error": why })) }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the connection says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Internal Server Error",
        };
        write!(
            to,
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status,
            self.kind,
            self.body.len()
        )?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let mut bytes: &[u8] = b"GET /v1/status?x=y HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let got = read(&mut bytes).unwrap();
        assert_eq!((got.method.as_str(), got.path.as_str()), ("GET", "/v1/status"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in ["", "GET / HTTP/1.1\r\n", "GET /\r\n\r\n", "GET x HTTP/1.1\r\n\r\n"] {
            assert!(read(&mut bytes.as_bytes()).is_err(), "{bytes}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LONGEST_HEAD * 2));
        assert!(matches!(read(&mut long.as_bytes()), Err(RequestError::Length)));
    }

    #[test]
    fn responses_are_written() {
        let mut bytes = Vec::new();
        Response::error(404, "no \"x\"").write(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n{\"error\":\"no \\\"x\\\"\"}\n"), "{text}");
    }
}
