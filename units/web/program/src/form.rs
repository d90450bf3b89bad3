//! Fields of forms and queries: `application/x-www-form-urlencoded` as the URL standard has it, with limits.
//!
//! [`Form`] is the only way to a form's fields, and it refuses one that our own page did not send.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::problem::Problem;
use crate::session::csrf;

/// Largest form, bytes. Attachments come as multipart, which has a limit of its own.
pub(crate) const LARGEST: usize = 1 << 20;
/// Most fields of one form: a list with every message of a page ticked has far fewer.
const MOST: usize = 2000;

/// Why bytes are not a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadForm {
    /// A broken escape, or bytes that are not UTF-8.
    Malformed,
    /// Too many fields.
    TooMany,
}

impl From<BadForm> for Problem {
    fn from(bad: BadForm) -> Self {
        match bad {
            BadForm::Malformed => Self::BadRequest,
            BadForm::TooMany => Self::TooLarge,
        }
    }
}

/// Names and values in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

/// Values may be passwords.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Reads `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadForm> {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            if fields.len() == MOST {
                return Err(BadForm::TooMany);
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            fields.push((half()?, half()?));
        }
        Ok(Self(fields))
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name`, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of `name`, as a list of ticked boxes has them.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decoded(text: &[u8]) -> Result<String, BadForm> {
    let mut bytes = text.iter().copied();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(BadForm::Malformed)
                };
                u8::try_from(digit()? << 4 | digit()?).map_err(|_| BadForm::Malformed)?
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).map_err(|_| BadForm::Malformed)
}

/// `text` as a value in a query: all but letters, digits and `-._~` is escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            safe.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    safe
}

/// The query of an address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(pub(crate) Fields);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(Fields::parse(query.as_bytes())?))
    }
}

/// A form that our page sent: its `csrf` field fits the cookie.
#[derive(Debug, Clone)]
pub(crate) struct Form(pub(crate) Fields);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::UnsupportedMediaType);
        }
        let body =
            Limited::new(body, LARGEST).collect().await.map_err(|error| match error
                .downcast_ref::<LengthLimitError>()
            {
                Some(_) => Problem::TooLarge,
                None => Problem::BadRequest,
            })?;
        let fields = Fields::parse(&body.to_bytes())?;
        // Scripts may send it beside the form.
        let header = parts.headers.get(csrf::HEADER).and_then(|token| token.to_str().ok());
        if csrf::fits(&parts.headers, header.unwrap_or(fields.text(csrf::FIELD))) {
            Ok(Self(fields))
        } else {
            Err(Problem::ForeignForm)
        }
    }
}

/// Reads `bytes` as a form, and what it wrote again.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(fields) = Fields::parse(bytes) {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        let again = Fields::parse(pairs.join("&").as_bytes());
        assert!(again.as_ref() == Ok(&fields), "{bytes:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields() {
        let fields = Fields::parse("a=b+c%26&d=%C3%BC=&e&=x&y=&a=2".as_bytes()).unwrap();
        assert_eq!(fields.get("a"), Some("b c&"));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["b c&", "2"]);
        assert_eq!(fields.get("d"), Some("ü="));
        assert_eq!(fields.get("e"), Some(""));
        assert_eq!(fields.text("z"), "");
        assert_eq!(format!("{fields:?}"), r#"["a", "d", "e", "", "y", "a"]"#, "no values");
        for malformed in ["%4", "a=%zz", "a=%FF", "%"] {
            assert_eq!(Fields::parse(malformed.as_bytes()), Err(BadForm::Malformed), "{malformed}");
        }
        assert_eq!(Fields::parse("a&".repeat(MOST + 1).as_bytes()), Err(BadForm::TooMany));
    }

    #[tokio::test]
    async fn what_is_too_much_is_said_to_be_too_large() {
        for (body, problem) in [
            ("a&".repeat(MOST + 1), Problem::TooLarge),
            ("a".repeat(LARGEST + 1), Problem::TooLarge),
            ("a=%zz".to_owned(), Problem::BadRequest),
        ] {
            let request = Request::builder()
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.into())
                .unwrap();
            assert_eq!(Form::from_request(request, &()).await.unwrap_err(), problem);
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_again(text in any::<String>()) {
            let fields = Fields::parse(format!("a={}", escaped(&text)).as_bytes()).unwrap();
            prop_assert_eq!(fields.get("a"), Some(text.as_str()));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&bytes);
        }
    }
}
