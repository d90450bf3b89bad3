//! What people type into the search field: words, and operators such as `from:ann has:attachment before:2026-01-31 -is:read`.

use mailkiln_servers::imap::{Date, Key};

/// Where a search looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Scope {
    /// In the folder that is open.
    #[default]
    Here,
    /// In all folders.
    Everywhere,
    /// In the folder of that name.
    Folder(String),
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Search {
    /// Conditions that all have to hold.
    pub(super) keys: Vec<Key>,
    /// Where.
    pub(super) scope: Scope,
    /// Words that look like operators and are none, or whose value makes no sense. They are searched for as text.
    pub(super) doubtful: Vec<String>,
}

/// More conditions are left out.
const MOST: usize = 30;

impl Search {
    /// Reads what was typed.
    pub(super) fn read(text: &str) -> Self {
        let mut search = Self::default();
        for word in words(text).into_iter().take(MOST) {
            search.add(&word);
        }
        search
    }

    fn add(&mut self, word: &Word) {
        if let (false, Some(operator)) = (word.negated, word.operator.as_deref()) {
            match (operator, word.value.as_str()) {
                ("in", "all" | "anywhere" | "alle" | "*") => return self.scope = Scope::Everywhere,
                ("in", folder) if !folder.is_empty() => return self.scope = Scope::Folder(folder.to_owned()),
                _ => {}
            }
        }
        let key = match &word.operator {
            Some(operator) => key(operator, &word.value),
            None if word.value.is_empty() => return,
            None => Some(Key::Text(word.value.clone())),
        };
        let key = key.unwrap_or_else(|| {
            self.doubtful.push(word.typed.clone());
            Key::Text(word.typed.clone())
        });
        self.keys.push(if word.negated { Key::Not(Box::new(key)) } else { key });
    }
}

fn key(operator: &str, value: &str) -> Option<Key> {
    let text = (!value.is_empty()).then(|| value.to_owned());
    Some(match operator {
        "from" => Key::From(text?),
        "to" => Key::Or(Box::new(Key::To(text.clone()?)), Box::new(Key::Cc(text?))),
        "cc" => Key::Cc(text?),
        "bcc" => Key::Bcc(text?),
        "subject" => Key::Subject(text?),
        "body" => Key::Body(text?),
        "list" => Key::Header("List-Id".into(), text?),
        "id" => Key::Header("Message-ID".into(), text?),
        "has" => match value {
            "attachment" | "attachments" => Key::Header("Content-Type".into(), "multipart/mixed".into()),
            _ => return None,
        },
        "is" => match value {
            "unread" | "unseen" => Key::Unseen,
            "read" | "seen" => Key::Seen,
            "flagged" | "starred" => Key::Flagged,
            "unflagged" => Key::Unflagged,
            "answered" | "replied" => Key::Answered,
            "draft" => Key::Draft,
            "junk" => Key::Keyword("$Junk".into()),
            _ => return None,
        },
        "before" | "older" => Key::Before(Date::parse(value)?),
        "after" | "since" | "newer" => Key::Since(Date::parse(value)?),
        "larger" => Key::Larger(size(value)?),
        "smaller" => Key::Smaller(size(value)?),
        _ => return None,
    })
}

/// `500`, `20k`, `5M`, `1GB`: bytes.
fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    // IMAP's numbers have 32 bits.
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|size| *size <= u64::from(u32::MAX))
}

#[derive(Debug, Default)]
struct Word {
    typed: String,
    negated: bool,
    operator: Option<String>,
    value: String,
}

/// Parts `-from:"Ann B" text "two words"`.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut current, mut quoted, mut any_quote) = (Vec::new(), Word::default(), false, false);
    for character in text.chars().filter(|c| !c.is_control()) {
        match character {
            '"' => {
                current.typed.push('"');
                (quoted, any_quote) = (!quoted, true);
            }
            c if c.is_whitespace() && !quoted => {
                end(&mut words, &mut current);
                any_quote = false;
            }
            '-' if current.typed.is_empty() => {
                current.typed.push('-');
                current.negated = true;
            }
            ':' if !quoted && !any_quote && current.operator.is_none() && is_name(&current.value) => {
                current.typed.push(':');
                current.operator = Some(std::mem::take(&mut current.value).to_lowercase());
            }
            c => {
                current.typed.push(c);
                current.value.push(c);
            }
        }
    }
    end(&mut words, &mut current);
    words
}

fn end(words: &mut Vec<Word>, current: &mut Word) {
    let mut word = std::mem::take(current);
    // A dash alone is a dash.
    if word.typed == "-" {
        word = Word { typed: "-".into(), value: "-".into(), ..Word::default() };
    }
    if !word.typed.is_empty() {
        words.push(word);
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operators_and_words_are_read() {
        let read = |text| Search::read(text).keys;
        assert_eq!(read("grün \"zwei Worte\""), [Key::Text("grün".into()), Key::Text("zwei Worte".into())]);
        assert_eq!(read("from:\"Ann B\" is:unread"), [Key::From("Ann B".into()), Key::Unseen]);
        assert_eq!(read("-is:read"), [Key::Not(Box::new(Key::Seen))]);
        assert_eq!(read("larger:5M before:2026-01-31"), [
            Key::Larger(5 << 20),
            Key::Before(Date::new(2026, 1, 31).unwrap()),
        ]);
        assert_eq!(read("has:attachment").len(), 1);
        assert_eq!(Search::read("in:all x").scope, Scope::Everywhere);
        assert_eq!(Search::read("in:\"Sent Items\" x").scope, Scope::Folder("Sent Items".into()));
    }

    #[test]
    fn what_makes_no_sense_is_text_and_is_named() {
        for doubtful in ["before:yesterday", "is:blue", "larger:huge", "larger:99G", "from:", "http://x.test", "12:30"] {
            let search = Search::read(doubtful);
            assert_eq!(search.keys, [Key::Text(doubtful.into())], "{doubtful}");
            assert_eq!(search.doubtful.is_empty(), doubtful == "12:30", "{doubtful}");
        }
        assert_eq!(Search::read(" \t "), Search::default());
    }

    proptest! {
        #[test]
        fn any_text_is_a_search(text in "\\PC{0,60}") {
            let search = Search::read(&text);
            prop_assert!(search.keys.len() <= MOST);
        }
    }
}
