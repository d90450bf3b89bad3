//! Mail addresses.
//!
//! In: what somebody typed. Out: a dot-atom local part in lower case and a domain in A-labels.

use std::fmt;
use std::str::FromStr;

use crate::domain_name::DomainName;
use crate::problem::{Flaw, shown};

/// Longest local part in bytes (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;
/// Longest address in bytes: a path is 256 with its angle brackets (RFC 5321, 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// A mail address: a dot-atom local part (RFC 5322, 3.2.3; lower case) and a domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local: String,
    domain: DomainName,
}

impl Address {
    /// The address of a role at a domain. `role` must be lower-case letters.
    pub(crate) fn of_role(role: &'static str, domain: &DomainName) -> Self {
        Self { local: role.to_owned(), domain: domain.clone() }
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// The address as people write it, with the domain in its own script.
    pub fn to_unicode(&self) -> String {
        format!("{}@{}", self.local, self.domain.to_unicode())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl FromStr for Address {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        let flaw = |label: &str, help: &str| {
            Err(Flaw::new(format!("`{}` is not a mail address", shown(text)), label, help))
        };
        const EXAMPLE: &str = "write it like `alice@example.org`";
        let Some((local, domain)) = text.rsplit_once('@') else {
            return flaw("there is no `@`", EXAMPLE);
        };
        if local.is_empty() {
            return flaw("there is nothing before the `@`", EXAMPLE);
        }
        if local.len() > LONGEST_LOCAL_PART {
            return flaw("there are more than 64 characters before the `@`", "shorten it");
        }
        if !local.is_ascii() {
            return flaw(
                "before the `@` only ASCII works with every mail server",
                "write the part before the `@` without accents; the domain may have them",
            );
        }
        if let Some(wrong) = local.chars().find(|c| *c != '.' && !is_atom(*c)) {
            let label = format!("`{wrong}` can't be before the `@`");
            return flaw(&label, EXAMPLE);
        }
        if local.split('.').any(str::is_empty) {
            return flaw("a dot needs text on both sides", EXAMPLE);
        }
        let domain: DomainName = match domain.parse() {
            Ok(domain) => domain,
            Err(Flaw { label, help, .. }) => {
                return flaw(&format!("behind the `@`: {label}"), &help);
            }
        };
        if local.len() + 1 + domain.as_str().len() > LONGEST_ADDRESS {
            return flaw("an address has at most 254 characters", "shorten it");
        }
        Ok(Self { local: local.to_ascii_lowercase(), domain })
    }
}

/// `atext` of RFC 5322, 3.2.3.
fn is_atom(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_case_with_a_label_domains() {
        for (typed, address) in [
            ("alice@example.org", "alice@example.org"),
            ("Alice.B@Example.ORG", "alice.b@example.org"),
            ("o'neil+tag@example.org", "o'neil+tag@example.org"),
            ("info@Bücher.example", "info@xn--bcher-kva.example"),
        ] {
            assert_eq!(typed.parse::<Address>().unwrap().to_string(), address);
        }
        let address: Address = "info@xn--bcher-kva.example".parse().unwrap();
        assert_eq!(address.to_unicode(), "info@bücher.example");
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        let long = format!("{}@example.org", "a".repeat(65));
        let wide = format!("{}@{}example.org", "a".repeat(64), "abcdefgh.".repeat(25));
        for (typed, reason) in [
            ("", "no `@`"),
            ("alice", "no `@`"),
            ("@example.org", "nothing before"),
            ("alice@", "behind the `@`: it is empty"),
            ("alice@localhost", "only one part"),
            (".alice@example.org", "dot needs text"),
            ("al..ice@example.org", "dot needs text"),
            ("al ice@example.org", "` ` can't be"),
            ("\"al ice\"@example.org", "`\"` can't be"),
            ("a@b@example.org", "`@` can't be"),
            ("älice@example.org", "only ASCII"),
            (&long, "more than 64"),
            (&wide, "at most 254"),
        ] {
            let flaw = typed.parse::<Address>().unwrap_err();
            assert!(flaw.label.contains(reason), "{typed}: {flaw}");
        }
    }
}
