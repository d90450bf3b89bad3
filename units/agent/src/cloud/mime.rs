//! User-data in several parts: RFC 2046 as far as tools for cloud-init write it.
//!
//! In: text of a stranger. Out: its parts, decoded. One level: a part that is a multipart again is a part.

use super::base64;

/// Parts that are looked at.
const MOST_PARTS: usize = 32;

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its type without parameters, lower case: `text/cloud-config`.
    pub kind: String,
    /// What is in it.
    pub body: Vec<u8>,
}

/// Whether text is a message with parts.
pub fn is_multipart(text: &str) -> bool {
    Headers::of(text).0.get("content-type").to_ascii_lowercase().starts_with("multipart/")
}

/// The parts of a message.
///
/// # Errors
/// What is wrong with it.
pub fn parts(text: &str) -> Result<Vec<Part>, String> {
    let (headers, body) = Headers::of(text);
    let boundary = headers.boundary().ok_or("its Content-Type has no boundary")?;
    let (open, close) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts = Vec::new();
    let mut current: Option<String> = None;
    for line in body.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == open || bare == close {
            parts.extend(current.take().map(|text| part(&text)).transpose()?);
            if bare == close || parts.len() == MOST_PARTS {
                return Ok(parts);
            }
            current = Some(String::new());
        } else if let Some(text) = &mut current {
            text.push_str(line);
        }
    }
    // A message that was cut off must not look like one with fewer parts.
    Err("its last part does not end".to_owned())
}

fn part(text: &str) -> Result<Part, String> {
    let (headers, body) = Headers::of(text);
    let kind = headers.get("content-type").split(';').next().unwrap_or_default().trim();
    let encoding = headers.get("content-transfer-encoding").trim().to_ascii_lowercase();
    let body = match encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" => body.as_bytes().to_vec(),
        "base64" => base64("user-data", body.as_bytes()).map_err(|error| error.to_string())?,
        "quoted-printable" => quoted_printable(body),
        other => return Err(format!("Content-Transfer-Encoding `{}`", other.escape_debug())),
    };
    Ok(Part { kind: kind.to_ascii_lowercase(), body })
}

/// RFC 2045, 6.7; what is not well-formed stays as it is.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.split_inclusive('\n') {
        let end = line.len() - line.trim_end_matches(['\r', '\n']).len();
        let (line, ending) = line.split_at(line.len() - end);
        let (line, ending) = line.strip_suffix('=').map_or((line, ending), |line| (line, ""));
        let mut rest = line.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let hex = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
            match hex.filter(|_| byte == b'=').and_then(|it| u8::from_str_radix(it, 16).ok()) {
                Some(value) => {
                    bytes.push(value);
                    rest = &after[2..];
                }
                None => {
                    bytes.push(byte);
                    rest = after;
                }
            }
        }
        bytes.extend_from_slice(ending.as_bytes());
    }
    bytes
}

/// Header fields, unfolded.
struct Headers(Vec<(String, String)>);

impl Headers {
    /// The fields at the start of a text, and what follows the empty line.
    fn of(text: &str) -> (Self, &str) {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end_matches(['\r', '\n']);
            if bare.is_empty() {
                at += line.len();
                break;
            }
            if bare.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(bare);
                }
            } else if let Some((name, value)) = bare.split_once(':') {
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            } else if !bare.starts_with("From ") {
                // A part without a header has its empty line at once; this text has none.
                break;
            }
            at += line.len();
        }
        (Self(fields), text.get(at..).unwrap_or_default())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn boundary(&self) -> Option<&str> {
        let mut parameters = self.get("content-type").split(';').skip(1);
        let value = parameters.find_map(|it| {
            let (name, value) = it.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
        })?;
        let value = value.trim_matches('"');
        (!value.is_empty() && value.len() <= 70).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_decoded() {
        let text = "Content-Type: multipart/mixed;\n boundary=B\n\npreamble\n--B\nContent-Type: TEXT/Plain; x=y\nContent-Transfer-Encoding: quoted-printable\n\na=3Db=\nc\n--B\n\nbare\n--B--\nx";
        assert!(is_multipart(text));
        let found = parts(text).unwrap();
        assert_eq!(found[0], Part { kind: "text/plain".to_owned(), body: b"a=bc\n".to_vec() });
        assert_eq!(found[1], Part { kind: String::new(), body: b"bare\n".to_vec() });
        assert!(!is_multipart("#cloud-config\n"));
    }

    #[test]
    fn a_message_that_was_cut_off_is_an_error() {
        let text = "Content-Type: multipart/mixed; boundary=B\n\n--B\n\nx\n";
        assert!(parts(text).unwrap_err().contains("does not end"));
        let text = text.replace("x\n", "") + "Content-Transfer-Encoding: x-y\n\nx\n--B--\n";
        assert!(parts(&text).is_ok());
        let text = text.replace("--B\n\n", "--B\n");
        assert!(parts(&text).unwrap_err().contains("x-y"));
    }
}
