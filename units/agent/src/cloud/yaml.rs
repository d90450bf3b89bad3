//! YAML as people paste it: cloud-config, `meta-data`, `network-config`.
//!
//! In: text of a stranger. Out: the same as JSON. Aliases and tags are refused: a few lines of them
//! make gigabytes. Depth is bounded, since whoever reads the result descends.

use serde_json::{Map, Value};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// Lists and maps within each other.
const DEEPEST: usize = 32;

/// Why text is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// It is no YAML.
    #[error(
        "line {0}: this is not YAML; check its indentation, which is made of blanks, not of tabs"
    )]
    Syntax(usize),
    /// What no configuration of a machine needs.
    #[error("line {0}: {1} are not read here; write the value itself")]
    Refused(usize, &'static str),
    /// Too deep.
    #[error("line {0}: more than 32 levels")]
    Deep(usize),
}

/// Reads the first document.
///
/// # Errors
/// [`YamlError`] with its line, counted from 1.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (event, mark) =
            parser.next_token().map_err(|error| YamlError::Syntax(error.marker().line()))?;
        let line = mark.line();
        let done = match event {
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            Event::Alias(_) => return Err(YamlError::Refused(line, "aliases")),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return Err(YamlError::Refused(line, "tags")),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEEPEST => {
                return Err(YamlError::Deep(line));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => return Err(YamlError::Syntax(line)),
            },
            Event::Scalar(text, style, ..) => scalar(text, style),
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
        };
        match open.last_mut() {
            None => return Ok(done),
            Some(Open::List(list)) => list.push(done),
            Some(Open::Map(map, key)) => match key.take() {
                Some(key) => {
                    map.insert(key, done);
                }
                None => *key = Some(key_text(done, line)?),
            },
        }
    }
}

/// A list or a map that is not finished.
enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

fn key_text(key: Value, line: usize) -> Result<String, YamlError> {
    match key {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(YamlError::Refused(line, "keys that are lists or maps")),
    }
}

/// Plain words that mean something in the core schema (YAML 1.2.2, 10.3.2); all else is text.
fn scalar(text: String, style: TScalarStyle) -> Value {
    if style != TScalarStyle::Plain {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => match number.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_paste_is_read() {
        let text = "#cloud-config\nhostname: mx\nmailkiln: |\n  [host]\n  name = \"a.b\"\n\
                    ssh_authorized_keys:\n  - ssh-ed25519 AAAA me\n- x: [1, {y: 'z'}]\n";
        assert_eq!(parse(text), Err(YamlError::Syntax(8)));
        let text = text.replace("- x: [1, {y: 'z'}]", "x: [1, {y: 'z', on: true}]");
        let wanted = json!({
            "hostname": "mx",
            "mailkiln": "[host]\nname = \"a.b\"\n",
            "ssh_authorized_keys": ["ssh-ed25519 AAAA me"],
            "x": [1, {"y": "z", "on": true}],
        });
        assert_eq!(parse(&text), Ok(wanted));
        assert_eq!(parse(""), Ok(Value::Null));
    }

    #[test]
    fn bombs_do_not_go_off() {
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert_eq!(parse(laughs), Err(YamlError::Refused(2, "aliases")));
        assert_eq!(parse("a: !!binary aGk="), Err(YamlError::Refused(1, "tags")));
        for deep in ["[".repeat(60_000), "- ".repeat(30_000), "{a: ".repeat(200)] {
            assert!(parse(&deep).is_err());
        }
    }
}
