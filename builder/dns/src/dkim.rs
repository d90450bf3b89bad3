//! DKIM keys of an appliance, as it publishes them.
//!
//! In: the lines of `/var/lib/mailkiln/dkim/DOMAIN.txt`, which are a zone file's. Out: for each key
//! its domain, selector and record (RFC 6376, 3.6.1).

use mailkiln_spec::{DomainName, Flaw, shown};

use crate::{Data, Record};

/// Longest record that is read, in bytes. RSA with 4096 bits needs 750.
const LONGEST_RECORD: usize = 4096;

/// The public half of a DKIM key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain that it signs for.
    pub domain: DomainName,
    /// The label before `._domainkey`: `rsa`, `ed25519`.
    pub selector: String,
    /// The record's text: `v=DKIM1; k=rsa; p=…`.
    pub text: String,
}

impl DkimKey {
    /// The keys of a file, in its order.
    ///
    /// A record is one line, or several between parentheses; `;` outside of quotes starts a comment.
    ///
    /// # Errors
    ///
    /// The first entry that is not a DKIM record.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, Flaw> {
        entries(text).iter().map(Self::from_entry).collect()
    }

    /// The record to publish.
    pub fn record(&self) -> Record {
        Record {
            name: format!("{}._domainkey.{}", self.selector, self.domain),
            data: Data::Text(self.text.clone()),
            purpose: "DKIM: proves that mail is genuine",
        }
    }

    fn from_entry(entry: &Entry) -> Result<Self, Flaw> {
        let name = entry.words.first().map_or("", String::as_str);
        let flaw = |label: &str| {
            let message = format!("`{}` is not a DKIM record", shown(name));
            let help = "copy /var/lib/mailkiln/dkim/DOMAIN.txt from the appliance as it is";
            Flaw::new(message, label, help)
        };
        let (selector, domain) = name
            .trim_end_matches('.')
            .split_once("._domainkey.")
            .ok_or_else(|| flaw("its name has no `._domainkey.` in it"))?;
        let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if selector.is_empty() || selector.len() > 63 || !selector.chars().all(is_label) {
            return Err(flaw("its selector is not a name"));
        }
        if !entry.words.iter().any(|word| word.eq_ignore_ascii_case("TXT")) {
            return Err(flaw("its type is not TXT"));
        }
        let text = &entry.text;
        let plain = text.len() <= LONGEST_RECORD && text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if !plain || !text.starts_with("v=DKIM1;") || !text.contains("p=") {
            return Err(flaw("its text is not `v=DKIM1; … p=…` in quotes"));
        }
        let domain = domain.parse().map_err(|problem: Flaw| flaw(&problem.label))?;
        Ok(Self { domain, selector: selector.to_ascii_lowercase(), text: text.clone() })
    }
}

/// One entry of a zone file: the words outside of quotes, and all quoted text joined.
#[derive(Default)]
struct Entry {
    words: Vec<String>,
    text: String,
}

/// The entries of a file, split as RFC 1035, 5.1 says.
fn entries(file: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    let mut inside_parentheses = false;
    let mut characters = file.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                while let Some(quoted) = characters.next().filter(|it| *it != '"') {
                    let escaped = if quoted == '\\' { characters.next() } else { Some(quoted) };
                    entry.text.extend(escaped);
                }
            }
            ';' => while characters.next_if(|it| *it != '\n').is_some() {},
            '(' => inside_parentheses = true,
            ')' => inside_parentheses = false,
            '\n' if !inside_parentheses => entries.push(std::mem::take(&mut entry)),
            _ if character.is_whitespace() => {}
            _ => {
                let mut word = String::from(character);
                while let Some(more) =
                    characters.next_if(|it| !it.is_whitespace() && !"\";()".contains(*it))
                {
                    word.push(more);
                }
                entry.words.push(word);
            }
        }
    }
    entries.push(entry);
    entries.retain(|entry| !entry.words.is_empty() || !entry.text.is_empty());
    entries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zone_file;

    #[test]
    fn records_are_read_in_every_form_of_a_zone_file() {
        for file in [
            "rsa._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=MIIB\"\n",
            "rsa._domainkey.example.org. 3600 IN TXT \"v=DKIM1; k=rsa; \" \"p=MIIB\"",
            "; made at the first boot\nrsa._domainkey.EXAMPLE.org IN TXT (\n  \"v=DKIM1; k=rsa; \"\n  \"p=MIIB\" ) ; rsa\n",
        ] {
            let keys = DkimKey::parse_file(file).unwrap();
            let [key] = keys.as_slice() else { panic!("{keys:?}") };
            assert_eq!((key.selector.as_str(), key.domain.as_str()), ("rsa", "example.org"));
            assert_eq!(key.text, "v=DKIM1; k=rsa; p=MIIB");
            // What we write, we read.
            assert_eq!(DkimKey::parse_file(&zone_file(&[key.record()])).unwrap(), keys);
        }
        assert_eq!(DkimKey::parse_file("\n; nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn other_records_are_refused_with_their_reason() {
        for (file, reason) in [
            ("example.org. IN MX 10 mail.example.org.", "no `._domainkey.`"),
            ("a._domainkey.example.org. IN CNAME b.example.org.", "not TXT"),
            ("a._domainkey.example.org. IN TXT \"v=spf1 -all\"", "v=DKIM1"),
            ("a._domainkey.example.org. IN TXT \"v=DKIM1; p=\u{1b}\"", "v=DKIM1"),
            ("a._domainkey.example. IN TXT \"v=DKIM1; p=x\"", "only one part"),
            ("._domainkey.example.org. IN TXT \"v=DKIM1; p=x\"", "selector"),
        ] {
            let flaw = DkimKey::parse_file(file).unwrap_err();
            assert!(flaw.label.contains(reason), "{file}: {flaw}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "[a-z.;()\"\\\\ \n_=]{0,200}") {
            let _ = DkimKey::parse_file(&text);
        }
    }
}
