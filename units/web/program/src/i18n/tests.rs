use super::*;
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

/// Keys stand in the sources as they are: `"mail.reply"` as the first argument of text, fill or count.
#[test]
fn every_key_in_the_sources_is_in_the_catalogue() {
    let mut seen = 0;
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
            for (method, endings) in
                [("text", &[""][..]), ("fill", &[""]), ("count", &["-one", "-other"])]
            {
                for call in source.split(&format!(".{method}(\"")).skip(1) {
                    let key = call.split('"').next().unwrap();
                    // The fields of a form are read by a method of the same name.
                    if !key.contains('.') {
                        continue;
                    }
                    seen += 1;
                    for ending in endings {
                        let key = format!("{key}{ending}");
                        assert!(ENGLISH.contains_key(&key), "{}: {key}", path.display());
                    }
                }
            }
        }
    }
    assert!(seen > 20, "{seen} keys were found");
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
