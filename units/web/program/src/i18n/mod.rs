//! Texts of pages in the reader's language. `locales/LANGUAGE.toml` holds them all: a table for each group of pages, `name = "text"`.
//! Tests compare keys and placeholders of all languages, and the keys of the catalogue with those in the sources.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language that has a catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// What is spoken to those whose language we don't know.
    #[default]
    English,
    /// German.
    German,
}

type Catalogue = BTreeMap<String, String>;

static ENGLISH: LazyLock<Catalogue> =
    LazyLock::new(|| catalogue(include_str!("../../locales/en.toml")));
static GERMAN: LazyLock<Catalogue> =
    LazyLock::new(|| catalogue(include_str!("../../locales/de.toml")));

/// Flattens tables to keys with a dot. That each catalogue can be read is tested.
fn catalogue(text: &str) -> Catalogue {
    let tables: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(text).unwrap_or_default();
    let flat = tables.into_iter().flat_map(|(table, texts)| {
        texts.into_iter().map(move |(name, text)| (format!("{table}.{name}"), text))
    });
    flat.collect()
}

impl Language {
    /// All of them, for the settings page.
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its tag (RFC 5646).
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Its name in itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// The language with this tag; `de-AT` is German.
    pub(crate) fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first of ours that the browser asks for (RFC 9110, section 12.5.4), by weight.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let weighed = asked.unwrap_or_default().split(',').take(32).filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let language = Self::from_tag(parts.next()?)?;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight: f32 = weight.map_or(Some(1.0), |weight| weight.parse().ok())?;
            (weight > 0.0).then_some((language, weight))
        });
        // The first of equals wins.
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language).unwrap_or_default()
    }

    fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// The text of `key`, as `mail.reply`.
    pub(crate) fn text(self, key: &str) -> &'static str {
        self.catalogue().get(key).map_or("", String::as_str)
    }

    /// The text of `key` with `{name}` replaced by its value. Values are plain text: maud escapes them with the rest.
    pub(crate) fn fill(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        let text = self.text(key);
        let mut filled = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some((_, value)) = values.iter().find(|(wanted, _)| *wanted == name) {
                filled.push_str(&value.to_string());
            }
            rest = after;
        }
        filled + rest
    }

    /// The text for `number` things, which it may name as `{n}`: `KEY-one` for 1, else `KEY-other`. Both languages have these two.
    pub(crate) fn count(self, key: &str, number: u64) -> String {
        let form = if number == 1 { "one" } else { "other" };
        self.fill(&format!("{key}-{form}"), &[("n", &self.number(number))])
    }

    /// `number` with its thousands apart.
    pub(crate) fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
        for (position, digit) in digits.char_indices() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                apart.push(match self {
                    Self::English => ',',
                    Self::German => '.',
                });
            }
            apart.push(digit);
        }
        apart
    }
}
