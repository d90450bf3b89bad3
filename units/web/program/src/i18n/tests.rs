use super::*;
use std::collections::BTreeSet;
use std::path::Path;

fn placeholders(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> =
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
    found.sort_unstable();
    found
}

#[test]
fn every_language_has_every_text_with_its_placeholders() {
    assert!(ENGLISH.len() > 20, "the catalogue was read");
    for language in Language::ALL {
        for key in language.catalogue().keys() {
            assert!(ENGLISH.contains_key(key), "{}: nobody needs {key}", language.tag());
        }
        for (key, english) in &*ENGLISH {
            let text = language.catalogue().get(key);
            let text = text.unwrap_or_else(|| panic!("{}: {key} is missing", language.tag()));
            assert!(!text.trim().is_empty(), "{}: {key} is empty", language.tag());
            assert_eq!(placeholders(text), placeholders(english), "{}: {key}", language.tag());
        }
    }
}

/// Every text in quotes that looks like a key, with what stands before it: `"mail.reply"`, but no file `"mail.css"`.
fn keys(source: &str) -> impl Iterator<Item = (&str, &str)> {
    let tables: BTreeSet<&str> =
        ENGLISH.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    source.match_indices('"').filter_map(move |(at, _)| {
        let (key, _) = source[at + 1..].split_once('"')?;
        let (table, name) = key.split_once('.')?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = tables.contains(table) && !name.is_empty() && name.bytes().all(is_name);
        (fits && !matches!(name, "css" | "js")).then_some((&source[..at], key))
    })
}

/// Keys stand in the sources as they are, so that none is asked for that is missing, and none is kept that nobody asks for.
#[test]
fn sources_and_catalogue_have_the_same_keys() {
    let mut unused: BTreeSet<&str> = ENGLISH.keys().map(String::as_str).collect();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Tests ask for keys that must not exist.
            if path.ends_with("i18n/tests.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for (before, key) in keys(&source) {
                let both = [format!("{key}-one"), format!("{key}-other")];
                let is_counted = both.iter().all(|one| ENGLISH.contains_key(one));
                let is_text = ENGLISH.contains_key(key);
                let known = if before.ends_with(".count(") {
                    is_counted
                } else if before.ends_with(".text(") || before.ends_with(".fill(") {
                    is_text
                } else {
                    is_counted || is_text
                };
                assert!(known, "{}: {key}", path.display());
                for one in both.iter().map(String::as_str).chain([key]) {
                    unused.remove(one);
                }
            }
        }
    }
    assert!(unused.is_empty(), "nobody asks for {unused:?}");
}

#[test]
fn browsers_say_what_they_read() {
    for (header, expected) in [
        ("", Language::English),
        ("de", Language::German),
        ("fr, de-AT;q=0.8, en;q=0.7", Language::German),
        ("de;q=0, en", Language::English),
        ("en;q=0.5, de;q=0.9", Language::German),
        ("de;q=x", Language::English),
        ("en, de", Language::English),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, header.parse().unwrap());
        assert_eq!(Language::from_headers(&headers), expected, "{header}");
    }
}

#[test]
fn values_and_numbers() {
    assert_eq!(Language::English.number(1_234_567), "1,234,567");
    assert_eq!(Language::German.number(100_000), "100.000");
    assert_eq!(Language::German.number(999), "999");
    assert_eq!(Language::English.fill("error.not-a-key", &[]), "");
    let text = Language::English.fill("sign-in.welcome", &[("host", &"{host}")]);
    assert!(text.contains("{host}"), "a value is not filled again: {text}");
}
