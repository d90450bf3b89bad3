//! Values as the languages write them that several crates' texts are in.
//!
//! In: a value. Out: its text, which the language reads as that value and as nothing else; `None` where it has no notation for it.

use std::fmt::Write as _;

use serde_json::Value;

/// What a string, number or truth value is as a string.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Prose: one line, whatever is in it; the elements of a list with commas.
pub(crate) fn text(value: &Value) -> Option<String> {
    let line = match value {
        Value::Array(list) => list.iter().map(text).collect::<Option<Vec<_>>>()?.join(", "),
        one => plain(one)?,
    };
    let mut shown = String::new();
    for character in line.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Some(shown)
}

/// A word of a shell, quoted where it has to be; the elements of a list as words (POSIX.1-2024, Shell Command Language, 2.2).
/// It is one line whatever is in it, so that it may stand in a comment: control characters as `$'\012'`, which bash and zsh read.
pub(crate) fn shell(value: &Value) -> Option<String> {
    if let Value::Array(list) = value {
        return Some(list.iter().map(shell).collect::<Option<Vec<_>>>()?.join(" "));
    }
    let word = plain(value)?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_@%+=:,./-".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Some(word);
    }
    if !word.contains(char::is_control) {
        return Some(format!("'{}'", word.replace('\'', r"'\''")));
    }
    let mut quoted = String::from("$'");
    for character in word.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    Some(quoted)
}

/// An expression of Terraform and OpenTofu (HCL Native Syntax Specification, "Template Expressions").
pub(crate) fn hcl(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(hcl_string(text)),
        Value::Array(list) => {
            let items = list.iter().map(hcl).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        other => plain(other),
    }
}

fn hcl_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if characters.peek() == Some(&'{') => quoted.extend([character, character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A value of TOML.
pub(crate) fn toml(value: &Value) -> Option<String> {
    Some(toml::Value::try_from(value).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_quoted_where_they_have_to_be() {
        let odd = json!("it's $5 \"net\" ${x}\n");
        for (write, value, written) in [
            (shell as fn(&Value) -> Option<String>, json!("/srv/a-b.c_d"), "/srv/a-b.c_d"),
            (shell, json!(""), "''"),
            (shell, json!("~"), "'~'"),
            (shell, json!([25, "a b"]), "25 'a b'"),
            (shell, json!("it's $5 \"net\""), "'it'\\''s $5 \"net\"'"),
            (shell, odd.clone(), "$'it\\'s $5 \"net\" ${x}\\012'"),
            (hcl, odd.clone(), r#""it's $5 \"net\" $${x}\n""#),
            (hcl, json!("$${a}%{b}\\\u{1b}"), r#""$$${a}%%{b}\\\u001b""#),
            (hcl, json!([25, true, "x"]), r#"[25, true, "x"]"#),
            (text, odd, "it's $5 \"net\" ${x}\\n"),
            (text, json!([25, "\u{1b}[31m"]), "25, \\u{1b}[31m"),
            (toml, json!("bücher"), "\"bücher\""),
            (toml, json!(["a", 1]), "[\"a\", 1]"),
        ] {
            assert_eq!(write(&value).as_deref(), Some(written), "{value}");
        }
        for write in [shell, hcl, text, toml] {
            assert_eq!(write(&Value::Null), None);
        }
        assert_eq!(shell(&json!({"a": 1})), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn toml_reads_back_what_is_written(given in "\\PC*|[\\x00-\\x7f]*") {
            let read: toml::Table = format!("x = {}", toml(&json!(given)).unwrap()).parse().unwrap();
            prop_assert_eq!(read["x"].as_str(), Some(&*given));
        }

        #[test]
        fn a_shell_reads_back_what_is_written(given in "[\\x01-\\x7fäß€\\x80-\\x9f]*|[ -~]*") {
            let script = format!("printf %s {}", shell(&json!(given)).unwrap());
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), given);
        }
    }
}
