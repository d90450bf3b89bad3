//! The part of YAML that configuration files of cloud tools use: nested maps by indentation, with plain and quoted values.
//!
//! In: text. Out: a tree of maps. Lists are left out, as no credential is in one. Anchors, aliases, block text and tabs
//! are errors that name the line, so that nothing is read as what it is not.

use std::collections::BTreeMap;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// Text, quotes taken off.
    Text(String),
    /// A map.
    Map(BTreeMap<String, Yaml>),
}

impl Yaml {
    /// The value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| match node {
            Self::Map(map) => map.get(*key),
            Self::Text(_) => None,
        })
    }

    /// The text at a path of keys, if it is not empty.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Adds what another tree has; where both have a text, the other one's counts.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Map(own), Self::Map(other)) => {
                for (key, value) in other {
                    match own.get_mut(&key) {
                        Some(there) => there.merge(value),
                        None => drop(own.insert(key, value)),
                    }
                }
            }
            (own, other) => *own = other,
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The number of the line and what is wrong with it, never the line itself: it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if let Some(line) =
                Line::read(line).map_err(|why| format!("line {}: {why}", index + 1))?
            {
                lines.push((index + 1, line));
            }
        }
        let mut rest = lines.as_slice();
        let map = map(&mut rest, 0, 0)?;
        match rest.first() {
            Some((number, _)) => Err(format!("line {number}: the indentation does not fit")),
            None => Ok(Self::Map(map)),
        }
    }
}

/// Deepest nesting that is read.
const DEEPEST: usize = 32;

/// A line that says something.
struct Line {
    indent: usize,
    /// Nothing for an item of a list.
    pair: Option<(String, String)>,
}

impl Line {
    fn read(line: &str) -> Result<Option<Self>, &'static str> {
        let trimmed = line.trim_start_matches(' ');
        let indent = line.len() - trimmed.len();
        let trimmed = trimmed.trim_end();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed == "---" || trimmed == "..." {
            return Ok(None);
        }
        if trimmed.starts_with('\t') {
            return Err("a tab can't indent");
        }
        if trimmed == "-" || trimmed.starts_with("- ") {
            return Ok(Some(Self { indent, pair: None }));
        }
        let (key, rest) = key(trimmed)?;
        let value = value(rest)?;
        Ok(Some(Self { indent, pair: Some((key, value)) }))
    }
}

/// The key of a line and what follows its colon.
fn key(line: &str) -> Result<(String, &str), &'static str> {
    if let Some(quote @ ('"' | '\'')) = line.chars().next() {
        let (key, rest) = quoted(&line[1..], quote)?;
        let rest = rest.strip_prefix(':').ok_or("a colon is missing")?;
        return Ok((key, rest));
    }
    let (key, rest) = match line.split_once(": ") {
        Some(pair) => pair,
        None => (line.strip_suffix(':').ok_or("expected `key: value`")?, ""),
    };
    if key.starts_with(['&', '*', '?', '<', '{', '[', '!', '|', '>', '%']) {
        return Err("anchors, merges and flow maps are not read");
    }
    Ok((key.trim_end().to_owned(), rest))
}

/// A value without quotes and comment.
fn value(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    match text.chars().next() {
        Some('&' | '*' | '|' | '>') => Err("anchors and block text are not read"),
        Some(quote @ ('"' | '\'')) => {
            let (value, rest) = quoted(&text[1..], quote)?;
            let rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                Ok(value)
            } else {
                Err("there is something behind the quotes")
            }
        }
        Some('#') => Ok(String::new()),
        _ => {
            let end = text.find(" #").unwrap_or(text.len());
            let plain = text[..end].trim_end();
            Ok(if plain == "null" || plain == "~" { String::new() } else { plain.to_owned() })
        }
    }
}

/// Text up to the closing quote, and what follows it.
fn quoted(text: &str, quote: char) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if quote == '"' => match chars.next() {
                Some((_, char @ ('"' | '\\' | '/'))) => value.push(char),
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                _ => return Err("this escape is not read"),
            },
            '\'' if quote == '\'' && text[at + 1..].starts_with('\'') => {
                chars.next();
                value.push('\'');
            }
            char if char == quote => return Ok((value, &text[at + 1..])),
            char => value.push(char),
        }
    }
    Err("a quote is not closed")
}

/// A map of the lines at one indentation, with what is indented further below each.
fn map(
    rest: &mut &[(usize, Line)],
    indent: usize,
    depth: usize,
) -> Result<BTreeMap<String, Yaml>, String> {
    let mut map = BTreeMap::new();
    while let Some((number, line)) = rest.first() {
        if line.indent < indent {
            break;
        }
        if line.indent > indent || depth > DEEPEST {
            return Err(format!("line {number}: the indentation does not fit"));
        }
        *rest = &rest[1..];
        let Some((key, text)) = &line.pair else {
            skip_item(rest, indent);
            continue;
        };
        let below = rest.first().filter(|(_, next)| next.indent > indent);
        let is_list =
            rest.first().is_some_and(|(_, next)| next.pair.is_none() && next.indent >= indent);
        let value = match below {
            _ if is_list => {
                skip_list(rest, indent);
                Yaml::Text(String::new())
            }
            Some((_, next)) if text.is_empty() => {
                Yaml::Map(self::map(rest, next.indent, depth + 1)?)
            }
            _ => Yaml::Text(text.clone()),
        };
        if map.insert(key.clone(), value).is_some() {
            return Err(format!("line {number}: this key is there twice"));
        }
    }
    Ok(map)
}

/// Leaves out the lines of one item.
fn skip_item(rest: &mut &[(usize, Line)], indent: usize) {
    while rest.first().is_some_and(|(_, line)| line.indent > indent) {
        *rest = &rest[1..];
    }
}

/// Leaves out the items of a list, which may stand below its key or deeper.
fn skip_list(rest: &mut &[(usize, Line)], indent: usize) {
    while rest.first().is_some_and(|(_, line)| {
        line.indent > indent || (line.indent == indent && line.pair.is_none())
    }) {
        *rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLOUDS: &str = "\
# written by hand
clouds:
  mine:
    auth:
      auth_url: 'https://id.example.org:5000/v3'   # Keystone
      username: \"a \\\"b\\\"\"
      password: p#ss: word
    regions:
    - name: one
      values: {x: y}
    - two
    region_name: RegionOne
    verify: null
  other:
    profile: vendor
";

    #[test]
    fn clouds_are_read() {
        let yaml = Yaml::parse(CLOUDS).unwrap();
        let mine = |path: &[&str]| {
            let path: Vec<&str> = ["clouds", "mine"].iter().chain(path).copied().collect();
            yaml.text(&path).map(str::to_owned)
        };
        assert_eq!(mine(&["auth", "auth_url"]).unwrap(), "https://id.example.org:5000/v3");
        assert_eq!(mine(&["auth", "username"]).unwrap(), "a \"b\"");
        assert_eq!(mine(&["auth", "password"]).unwrap(), "p#ss: word");
        assert_eq!(mine(&["region_name"]).unwrap(), "RegionOne");
        assert_eq!(mine(&["verify"]), None);
        assert_eq!(yaml.text(&["clouds", "other", "profile"]), Some("vendor"));
        let mut merged = yaml;
        merged.merge(Yaml::parse("clouds:\n  mine:\n    auth:\n      password: x\n").unwrap());
        assert_eq!(merged.text(&["clouds", "mine", "auth", "password"]), Some("x"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_without_the_line() {
        for text in [
            "a: &x 1",
            "<<: *x",
            "a: |\n  b",
            "\ta: 1",
            "a: 'b",
            "a: 1\n   b: 2",
            "secret",
            "a: 1\na: 2",
        ] {
            let error = Yaml::parse(text).unwrap_err();
            assert!(error.starts_with("line ") && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in "[ a:'\"\\-#\n\\\\&]{0,80}") {
            let _ = Yaml::parse(&text);
        }
    }
}
