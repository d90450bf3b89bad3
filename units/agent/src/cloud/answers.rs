//! What a source answered: names of the table of requests, and bytes.
//!
//! In: pieces as they come. Out: text and JSON, or the error that names the piece.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{LARGEST, SourceError};

/// Answers by the names of their requests. Several may have one name, in the order of their coming.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Answers {
    /// Adds one.
    pub fn add(&mut self, name: &'static str, bytes: Vec<u8>) {
        self.0.entry(name).or_default().push(bytes);
    }

    /// The bytes of an answer.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)?.first().map(Vec::as_slice)
    }

    /// All answers of a name, as text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let all = self.0.get(name).into_iter().flatten();
        all.filter_map(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// An answer as text; what is no UTF-8 is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// An answer that every machine has.
    ///
    /// # Errors
    /// [`SourceError::Missing`].
    pub fn needed(&self, name: &'static str) -> Result<&str, SourceError> {
        self.text(name).filter(|text| !text.trim().is_empty()).ok_or(SourceError::Missing(name))
    }

    /// An answer as JSON; `None` where there is none. serde_json ends at a depth of 128.
    ///
    /// # Errors
    /// [`SourceError`] for what is no JSON.
    pub fn json(&self, name: &'static str) -> Result<Option<Value>, SourceError> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        if bytes.len() > LARGEST {
            return Err(SourceError::TooLarge(name));
        }
        serde_json::from_slice(bytes).map(Some).map_err(|error| {
            // Not the message, which may quote what stands there.
            SourceError::nonsense(name, format!("no JSON at line {}", error.line()))
        })
    }
}

/// Text below a path of keys.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// Texts of a list below a path of keys.
pub(crate) fn texts<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a str> {
    let list = value.pointer(path).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
}
