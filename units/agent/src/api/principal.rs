//! Domains and accounts as the mail server's API has them.

use serde::{Deserialize, Serialize};

/// A domain or an account as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Principal {
    /// `domain`, `individual`, `list`, …
    #[serde(default, rename = "type")]
    pub kind: String,
    /// All addresses, the primary one first.
    #[serde(default)]
    pub emails: OneOrMany,
    /// Hashes of passwords.
    #[serde(default)]
    pub secrets: OneOrMany,
    /// For people: the name that recipients see.
    #[serde(default)]
    pub description: String,
    /// Bytes; 0 for no limit.
    #[serde(default)]
    pub quota: u64,
    /// Of an OAuth client: the addresses that tokens may be asked for with.
    #[serde(default)]
    pub urls: OneOrMany,
    /// Permissions that are taken from it.
    #[serde(default, rename = "disabledPermissions")]
    pub disabled: OneOrMany,
}

/// One of a list.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Listed {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) emails: OneOrMany,
}

/// A page of a list.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Listed>,
}

/// The API leaves out the list around a single text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One text.
    One(String),
    /// Several, or none.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    /// The texts.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A domain or an account to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPrincipal<'a> {
    /// `domain` or `individual`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Name; of an account, its login.
    pub name: &'a str,
    /// For people.
    pub description: &'a str,
    /// Addresses, the primary one first.
    pub emails: Vec<&'a str>,
    /// Hashes of passwords.
    pub secrets: Vec<&'a str>,
    /// What the account may do: `user`.
    pub roles: Vec<&'static str>,
    /// Bytes; 0 for no limit.
    pub quota: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_with_one_and_with_many_addresses() {
        for (text, emails) in [
            (r#"{"id":3,"type":"individual","emails":"a@b.org","quota":5}"#, &["a@b.org"][..]),
            (r#"{"emails":["a@b.org","@b.org"]}"#, &["a@b.org", "@b.org"]),
            (r#"{"type":"domain","members":2}"#, &[]),
        ] {
            let principal: Principal = serde_json::from_str(text).unwrap();
            assert_eq!(principal.emails.as_slice(), emails);
        }
    }
}
