//! Values as Nix text: the only way in which anything gets into a `.nix` file.
//!
//! In: a [`Value`]. Out: an expression that evaluates to it, whatever its strings hold. The
//! notation is that of the Nix manual, "Nix Language", section "Literals".

use std::fmt::{self, Display, Write as _};

/// A Nix expression: literals, and code of ours where a literal does not do.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a decimal point; must be finite.
    Float(f64),
    /// A string.
    Text(Vec<Piece>),
    /// Prose of one or several lines, whose indentation does not count.
    Prose(String),
    /// A list.
    List(Vec<Value>),
    /// An attribute set, in this order.
    Attrs(Vec<(String, Value)>),
    /// An expression that is written down as it is. Never made from foreign text.
    Code(String),
}

/// A part of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Characters that stand for themselves.
    Plain(String),
    /// An expression whose value is put there. Never made from foreign text.
    Code(String),
}

impl Value {
    /// A string that stands for itself.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(vec![Piece::Plain(text.into())])
    }

    /// Code of ours.
    pub fn code(code: impl Into<String>) -> Self {
        Self::Code(code.into())
    }

    /// A set of these attributes.
    pub fn attrs<K: Into<String>>(attrs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Attrs(attrs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The same value as JSON has it; `None` for a number that Nix has no notation for.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match value {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) if number.is_f64() => Self::Float(number.as_f64()?),
            Json::Number(number) => Self::Int(number.as_i64()?),
            Json::String(text) => Self::text(text),
            Json::Array(list) => {
                Self::List(list.iter().map(Self::from_json).collect::<Option<_>>()?)
            }
            Json::Object(map) => {
                let entries =
                    map.iter().map(|(key, value)| Some((key.clone(), Self::from_json(value)?)));
                Self::Attrs(entries.collect::<Option<_>>()?)
            }
        })
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(i64::MIN) => f.write_str("(-9223372036854775807 - 1)"),
            // A minus is an operator.
            Self::Int(number) if *number < 0 => write!(f, "({number})"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&float(*number)),
            Self::Text(pieces) => text(f, pieces),
            Self::Prose(prose) => self::prose(f, prose),
            Self::List(values) => {
                f.write_str("[ ")?;
                values.iter().try_for_each(|value| write!(f, "{} ", Atom(value)))?;
                f.write_char(']')
            }
            Self::Attrs(attrs) => {
                f.write_str("{ ")?;
                attrs.iter().try_for_each(|(key, value)| write!(f, "{} = {value}; ", Key(key)))?;
                f.write_char('}')
            }
            Self::Code(code) => f.write_str(code),
        }
    }
}

/// A value where an application would be taken for several: in a list.
struct Atom<'a>(&'a Value);

impl Display for Atom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Code(code) if code.contains(' ') => write!(f, "({code})"),
            other => other.fmt(f),
        }
    }
}

/// An attribute's name, quoted where it has to be.
pub(crate) struct Key<'a>(pub(crate) &'a str);

/// Words that can't be names.
const KEYWORDS: [&str; 9] = ["assert", "else", "if", "in", "inherit", "let", "rec", "then", "with"];

impl Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        let inner = |c: char| c.is_ascii_alphanumeric() || "_-'".contains(c);
        let plain = self.0.starts_with(starts) && self.0.chars().all(inner);
        match plain && !KEYWORDS.contains(&self.0) && self.0 != "or" {
            true => f.write_str(self.0),
            false => text(f, &[Piece::Plain(self.0.to_owned())]),
        }
    }
}

fn text(f: &mut fmt::Formatter<'_>, pieces: &[Piece]) -> fmt::Result {
    f.write_char('"')?;
    for piece in pieces {
        match piece {
            Piece::Plain(text) => {
                text.chars().try_for_each(|character| match character {
                    // A dollar alone is harmless, but not before a brace of the next piece.
                    '"' | '\\' | '$' => write!(f, "\\{character}"),
                    '\n' => f.write_str("\\n"),
                    '\r' => f.write_str("\\r"),
                    '\t' => f.write_str("\\t"),
                    other => f.write_char(other),
                })?;
            }
            Piece::Code(code) => write!(f, "${{{code}}}")?,
        }
    }
    f.write_char('"')
}

fn prose(f: &mut fmt::Formatter<'_>, prose: &str) -> fmt::Result {
    if !prose.contains('\n') {
        return text(f, &[Piece::Plain(prose.to_owned())]);
    }
    f.write_str("''\n")?;
    for line in prose.lines() {
        writeln!(f, "  {}", line.trim().replace("''", "'''").replace("${", "''${"))?;
    }
    f.write_str("''")
}

/// Nix wants a point before the exponent, and digits before or behind it.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    let text = match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    };
    if number.is_sign_negative() { format!("({text})") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_nix_reads_them_back() {
        for (value, written) in [
            (Value::text("a${b}\"\\\n\t$"), r#""a\${b}\"\\\n\t\$""#),
            (Value::text("''"), "\"''\""),
            (Value::Int(-3), "(-3)"),
            (Value::Float(15.0), "15.0"),
            (Value::Float(-1e30), "(-1.0e30)"),
            (
                Value::List(vec![Value::Null, Value::code("f x"), Value::Int(-1)]),
                "[ null (f x) (-1) ]",
            ),
            (
                Value::attrs([
                    ("a-b", Value::Bool(true)),
                    ("in", Value::Null),
                    ("1.x", Value::Null),
                ]),
                "{ a-b = true; \"in\" = null; \"1.x\" = null; }",
            ),
            (Value::Text(vec![Piece::Plain("$".into()), Piece::Code("x".into())]), r#""\$${x}""#),
            (Value::Prose("one ${x} ''\n two".into()), "''\n  one ''${x} '''\n  two\n''"),
        ] {
            assert_eq!(value.to_string(), written);
        }
    }

    #[test]
    fn json_becomes_the_same_value() {
        let json = serde_json::json!({"a": [1, 2.5], "b": {"c": "x"}, "d": null});
        let value = Value::from_json(&json).unwrap().to_string();
        assert_eq!(value, "{ a = [ 1 2.5 ]; b = { c = \"x\"; }; d = null; }");
        assert_eq!(Value::from_json(&serde_json::json!(u64::MAX)), None);
    }
}
