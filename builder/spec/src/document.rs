//! TOML text read into typed tables.
//!
//! In: the text, and a type of the file's tables whose schema says which keys there are. Out: the
//! tables, every value with its span. Syntax errors end the reading; wrong keys and types are
//! reported and left out, so that the rules can still judge the rest of the file.

use std::ops::Range;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Flaw, Problems, Reported};
use crate::{schema, shape};

/// Largest file that is read, in bytes. A thousand accounts take a tenth of it.
const MOST_BYTES: usize = 4 << 20;

/// A value and the bytes of the text where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
    /// What stands there.
    pub(crate) value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

/// A location is invisible in the schema.
impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The tables of `text`, whatever they are.
pub(crate) fn parse_table<'a>(
    text: &'a str,
    problems: &mut Problems,
) -> Result<DeTable<'a>, Reported> {
    if text.len() > MOST_BYTES {
        return Err(problems.add(
            Flaw::new(
                format!("the file is {} bytes long", text.len()),
                "the file starts here",
                format!("at most {MOST_BYTES} bytes are read; is this the right file?"),
            )
            .at(&(0..0)),
        ));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut syntax = None;
    for error in errors {
        let span = whole_characters(text, error.span().unwrap_or(0..0));
        syntax = Some(problems.add(not_toml(error.message()).at(&span)));
    }
    match syntax {
        Some(reported) => Err(reported),
        None => Ok(table.into_inner()),
    }
}

/// Reads tables as a file of type `T`; `text` is where their places are.
///
/// Every field of `T` and of its tables must be optional: what is missing or of the wrong type is
/// reported here and absent there.
pub(crate) fn read_table<T: DeserializeOwned + JsonSchema>(
    text: &str,
    mut table: DeTable<'_>,
    problems: &mut Problems,
) -> Result<T, Reported> {
    shape::trim(&mut table, &schema::of::<T>(), problems);
    let table = Spanned::new(0..text.len(), table);
    T::deserialize(toml::de::Deserializer::from(table)).map_err(|error| {
        let span = whole_characters(text, error.span().unwrap_or(0..0));
        problems.add(not_toml(error.message()).at(&span))
    })
}

/// The same tables with everything at `span`: values of another text have no place of their own in this one.
pub(crate) fn placed<'a>(table: DeTable<'a>, span: &Range<usize>) -> DeTable<'a> {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'a>>)| {
        (Spanned::new(span.clone(), key.into_inner()), placed_value(value, span))
    };
    table.into_iter().map(entry).collect()
}

fn placed_value<'a>(value: Spanned<DeValue<'a>>, span: &Range<usize>) -> Spanned<DeValue<'a>> {
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(placed(table, span)),
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|it| placed_value(it, span)).collect())
        }
        plain => plain,
    };
    Spanned::new(span.clone(), value)
}

/// A syntax error in the words of the TOML parser.
fn not_toml(message: &str) -> Flaw {
    let message = message.lines().collect::<Vec<_>>().join("; ");
    let help = if message.contains("duplicate key") {
        "write each key and each table once; a further domain or account starts with its own \
         `[[domain]]` or `[[account]]`"
    } else {
        "a table starts with `[name]`, an entry of a list of tables with `[[name]]`; a value is \
         written `key = \"text\"`, `key = 25`, `key = true` or `key = [\"a\", \"b\"]`"
    };
    Flaw::new(format!("this is not TOML: {message}"), "the reader stopped here", help)
}

/// The span, widened to character boundaries and cut to the text.
fn whole_characters(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_within_the_text() {
        for (span, whole) in [(0..0, 0..0), (2..2, 1..3), (0..9, 0..4), (9..12, 4..4), (1..2, 1..3)]
        {
            assert_eq!(whole_characters("aäb", span), whole);
        }
    }
}
