//! Domain names, in the one form that all other parts use.
//!
//! In: what somebody typed, in any script and case. Out: IDNA A-labels (RFC 5890, processed by
//! UTS 46), and back again for people to read.

use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::problem::{Flaw, shown};

/// A domain name in IDNA A-label form: lower case, 253 bytes at most, at least two labels, no
/// trailing dot, no underscore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// The name in A-label form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people write it: `bücher.example` for `xn--bcher-kva.example`.
    pub fn to_unicode(&self) -> String {
        let (name, result) =
            Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
        // A name that was built from A-labels converts; should it not, the A-labels are right too.
        if result.is_ok() { name.into_owned() } else { self.0.clone() }
    }

    /// Whether this is `parent` or a name below it.
    pub fn is_within(&self, parent: &Self) -> bool {
        self.0.strip_suffix(&parent.0).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        let flaw = |label: &str, help: &str| {
            Err(Flaw::new(format!("`{}` is not a domain name", shown(text)), label, help))
        };
        const EXAMPLE: &str = "write it like `example.org`";
        if text.is_empty() {
            return flaw("it is empty", EXAMPLE);
        }
        // Nothing longer can come down to 253 bytes, and the conversion costs time.
        if text.len() > 1024 {
            return flaw("a domain name has at most 253 characters", EXAMPLE);
        }
        if text.ends_with('.') {
            return flaw("it ends with a dot", "leave the dot at the end out");
        }
        if let Some(wrong) = text.chars().find(|c| c.is_whitespace() || "@/:*_,;".contains(*c)) {
            let label = format!("{} can't be in a domain name", named(wrong));
            return flaw(&label, EXAMPLE);
        }
        if text.split(['.', '。']).any(str::is_empty) {
            return flaw("there is nothing between two dots", EXAMPLE);
        }
        let converted = Uts46::new().to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        );
        let Ok(name) = converted else {
            return flaw(
                "each part has 1 to 63 letters, digits and inner hyphens, 253 in all",
                EXAMPLE,
            );
        };
        let Some((_, last)) = name.rsplit_once('.') else {
            return flaw("it has only one part", "write it in full, like `mail.example.org`");
        };
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return flaw("no top-level domain is a number", "write a name, not an IP address");
        }
        Ok(Self(name.into_owned()))
    }
}

/// A character in words, for those that are hard to see.
fn named(character: char) -> String {
    match character {
        ' ' => "a space".to_owned(),
        other if other.is_whitespace() => "white space".to_owned(),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_a_labels() {
        for (typed, name, shown) in [
            ("example.org", "example.org", "example.org"),
            ("MAIL.Example.ORG", "mail.example.org", "mail.example.org"),
            ("Bücher.example", "xn--bcher-kva.example", "bücher.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"),
            ("faß.example", "xn--fa-hia.example", "faß.example"),
            ("a.b--c.example", "a.b--c.example", "a.b--c.example"),
            ("1.2.3.example", "1.2.3.example", "1.2.3.example"),
        ] {
            let parsed: DomainName = typed.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.to_unicode().as_str()), (name, shown));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = format!("{}example", "a.".repeat(130));
        let longest = "a.".repeat(100_000);
        for (typed, reason) in [
            ("", "it is empty"),
            ("localhost", "only one part"),
            ("example.org.", "ends with a dot"),
            ("example..org", "between two dots"),
            (".org", "between two dots"),
            ("ex ample.org", "a space"),
            ("alice@example.org", "`@`"),
            ("*.example.org", "`*`"),
            ("_dmarc.example.org", "`_`"),
            ("http://example.org", "`:`"),
            ("-a.example", "inner hyphens"),
            ("a-.example", "inner hyphens"),
            ("192.0.2.1", "number"),
            ("xn--zzzzzzzzzz9999.example", "letters, digits"),
            ("a\u{202e}b.example", "letters, digits"),
            (&long, "63"),
            (&longer, "253"),
            (&longest, "253"),
        ] {
            let flaw = typed.parse::<DomainName>().unwrap_err();
            assert!(flaw.label.contains(reason), "{typed}: {flaw}");
            assert!(flaw.message.len() < 300, "{typed}");
        }
    }

    #[test]
    fn a_name_is_within_its_parents_only() {
        let name = |text: &str| text.parse::<DomainName>().unwrap();
        assert!(name("mail.example.org").is_within(&name("example.org")));
        assert!(name("example.org").is_within(&name("example.org")));
        assert!(!name("myexample.org").is_within(&name("example.org")));
    }
}
