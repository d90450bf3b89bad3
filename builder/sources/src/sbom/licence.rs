//! Licence expressions as manifests write them.
//!
//! In: a `license` field of a `Cargo.toml`. Out: an SPDX expression. The old spelling
//! `MIT/Apache-2.0` becomes `MIT OR Apache-2.0`, as the manifest's documentation says.

/// The expression in SPDX's spelling; `None` for what is not one.
pub(super) fn expression(text: &str) -> Option<String> {
    let spelled = text.replace('/', " OR ");
    let words: Vec<&str> = spelled.split_whitespace().collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '(' | ')');
    let sound = !words.is_empty() && words.iter().all(|word| word.chars().all(plain));
    sound.then(|| words.join(" "))
}

/// The `LicenseRef-…` names in an expression, which a document has to define.
pub(super) fn references(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
        .filter(|word| word.starts_with("LicenseRef-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (text, spdx) in [
            ("MIT/Apache-2.0", Some("MIT OR Apache-2.0")),
            ("(MIT OR  Apache-2.0) AND Unicode-3.0", Some("(MIT OR Apache-2.0) AND Unicode-3.0")),
            ("", None),
            ("see <file>", None),
        ] {
            assert_eq!(expression(text).as_deref(), spdx, "{text}");
        }
        let text = "(LicenseRef-a AND MIT) OR LicenseRef-b";
        assert_eq!(references(text).collect::<Vec<_>>(), ["LicenseRef-a", "LicenseRef-b"]);
    }
}
