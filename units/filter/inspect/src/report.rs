//! What an inspection found: findings with their class, their place and a reason in words.

use std::fmt;
use std::str::FromStr;

/// The outcome for one message. The order of findings depends on the message alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found, in the order of the message's bytes. Where there is more than a report
    /// holds, every class that was met still has a finding.
    pub findings: Vec<Finding>,
    /// How many things were looked at: MIME leaves, members of archives, streams of documents.
    pub parts: u32,
    /// How many bytes were looked at, decoded and unpacked ones included.
    pub bytes: u64,
}

/// One reason for a policy to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of danger it is.
    pub class: Class,
    /// Which leaf of [`crate::message::split`] it is in; nothing if it concerns the whole message.
    pub part: Option<u32>,
    /// Names from the outside in: `invoice.zip`, `invoice.exe`. Characters that could deceive a
    /// reader (controls, changes of direction) are written as `\u{…}`.
    pub place: Vec<String>,
    /// One sentence without a full stop, for logs and headers: ASCII but for quoted names.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.class, self.reason)?;
        match self.place.is_empty() {
            true => Ok(()),
            false => write!(formatter, " ({})", self.place.join(" > ")),
        }
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// What a policy decides by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Class { $($(#[$doc])* $variant,)* }

        impl Class {
            /// Every class, in the order of the documentation.
            pub const ALL: &[Class] = &[$(Class::$variant,)*];

            /// The name in settings, headers and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Class::$variant => $name,)* }
            }
        }
    };
}

classes! {
    /// A malware rule matched.
    Malware => "malware",
    /// A program: by its content, or by a name that the reader's system would start.
    Executable => "executable",
    /// A script that the reader's system would run on a double click.
    Script => "script",
    /// A link file: `.lnk`, `.url`, and their kin.
    Shortcut => "shortcut",
    /// A web page that makes a file in the browser, past every gateway.
    HtmlSmuggling => "html-smuggling",
    /// An archive or document that needs a password.
    EncryptedArchive => "encrypted-archive",
    /// A macro that starts by itself or calls what documents have no need of.
    AutoMacro => "auto-macro",
    /// Any other macro.
    Macro => "macro",
    /// A document that reaches outside: DDE, a remote template, an embedded object.
    ActiveDocument => "active-document",
    /// A name that pretends: two extensions, reversed text, an extension that the content is not.
    DeceptiveName => "deceptive-name",
    /// A limit was reached before everything was seen.
    Limit => "limit",
    /// Programs read it in different ways, or may see what was not seen here.
    Ambiguous => "ambiguous",
    /// Something is broken, so that not all of it could be read.
    Damaged => "damaged",
    /// A container of a kind that can't be opened here.
    Opaque => "opaque",
}

impl Class {
    /// How much it weighs where not all findings can be told: 0 is told first.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Class::Malware => 0,
            Class::Executable | Class::Script | Class::Shortcut | Class::DeceptiveName => 1,
            Class::HtmlSmuggling | Class::AutoMacro | Class::ActiveDocument => 2,
            Class::Ambiguous | Class::Limit => 3,
            Class::Macro | Class::EncryptedArchive | Class::Opaque | Class::Damaged => 4,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that no class has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no class of findings is called `{0}`; there are: {names}", names = names())]
pub struct UnknownClass(pub String);

fn names() -> String {
    Class::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Class::ALL.iter().find(|class| class.as_str() == name);
        found.copied().ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

/// A name as a report shows it: nothing in it can forge a line, a header or the order of letters.
#[must_use]
pub fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut text = String::new();
    for (index, character) in name.chars().enumerate() {
        if index == LONGEST {
            text.push_str("...");
            break;
        }
        if character.is_control() || crate::name::is_invisible(character) {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_come_back() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse::<Class>(), Ok(*class));
        }
        let error = "virus".parse::<Class>().unwrap_err().to_string();
        assert!(error.contains("`virus`") && error.contains("malware, executable"), "{error}");
    }

    #[test]
    fn names_cannot_deceive_who_reads_the_report() {
        assert_eq!(shown("a\r\nX-Mailkiln: clean"), "a\\u{d}\\u{a}X-Mailkiln: clean");
        assert_eq!(shown("ann\u{202e}fdp.exe"), "ann\\u{202e}fdp.exe");
        assert_eq!(shown("Jahresübersicht.pdf"), "Jahresübersicht.pdf");
        assert!(shown(&"x".repeat(10_000)).len() < 200);
    }
}
