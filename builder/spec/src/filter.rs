//! The filter that looks into attachments: what `[filter]` and `[domain.filter]` say.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `[filter]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What happens to a message that could not be looked into.
    pub on_failure: OnFailure,
    /// Days that a message stays in the quarantine; 30 when not given.
    pub quarantine_days: u32,
    /// Most bytes in the quarantine; 1 GiB when not given.
    pub quarantine_size: u64,
    /// Whether the postmaster gets a daily letter about it; `true` when not given.
    pub digest: bool,
    /// Where further malware rules come from.
    pub rules: Option<RuleSource>,
    /// A ClamAV that is asked too.
    pub clamav: Option<ClamAv>,
    /// What is done about which finding, for every class.
    pub actions: FilterActions,
}

/// Where a ClamAV runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClamAv {
    /// On the appliance: Debian's.
    Here,
    /// On another machine of a private network.
    At(SocketAddr),
}

/// Where malware rules come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// An `https` address; the signature is at the same one with `.sig` behind it.
    pub url: String,
    /// The Ed25519 key that signs them, in base64.
    pub key: String,
}

/// What happens to a message that could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Its sender is asked to come back.
    Defer,
    /// It is delivered with a mark.
    Pass,
}

/// Actions by class.
pub type FilterActions = BTreeMap<FilterClass, FilterAction>;

/// What is done about a finding, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterAction {
    /// Nothing.
    Pass,
    /// A header field says it.
    Mark,
    /// The part is replaced by a text.
    Strip,
    /// The message is kept on the appliance.
    Quarantine,
    /// The message is refused.
    Reject,
}

impl FilterAction {
    /// As `mail.toml` and the filter's own settings write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Mark => "mark",
            Self::Strip => "strip",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterClass {
    /// A malware rule matched.
    Malware,
    /// A program.
    Executable,
    /// A script that a double click runs.
    Script,
    /// A link to a program.
    Shortcut,
    /// A name that pretends.
    DeceptiveName,
    /// A web page that makes a file in the browser.
    HtmlSmuggling,
    /// A macro that starts by itself or does what documents have no need of.
    AutoMacro,
    /// A document that reaches outside.
    ActiveDocument,
    /// A limit ended the inspection.
    Limit,
    /// What programs read in different ways, or may see where the filter could not.
    Ambiguous,
    /// Any other macro.
    Macro,
    /// Something that needs a password.
    EncryptedArchive,
    /// Something broken.
    Damaged,
    /// A container that can't be opened.
    Opaque,
}

impl FilterClass {
    /// Every class with its name in the filter's own settings, and what is done about it when
    /// `mail.toml` does not say.
    ///
    /// What nobody sends on purpose by mail is refused: the sender is told at once, and nothing is
    /// lost in silence. What is dangerous but may be somebody's work is kept, so that it can be
    /// released. What is only unusual, or could not be seen, is marked: accountants send encrypted
    /// archives and workbooks with macros every day.
    pub const ALL: [(Self, &'static str, FilterAction); 14] = [
        (Self::Malware, "malware", FilterAction::Reject),
        (Self::Executable, "executable", FilterAction::Reject),
        (Self::Script, "script", FilterAction::Reject),
        (Self::Shortcut, "shortcut", FilterAction::Reject),
        (Self::DeceptiveName, "deceptive-name", FilterAction::Reject),
        (Self::HtmlSmuggling, "html-smuggling", FilterAction::Quarantine),
        (Self::AutoMacro, "auto-macro", FilterAction::Quarantine),
        (Self::ActiveDocument, "active-document", FilterAction::Quarantine),
        (Self::Limit, "limit", FilterAction::Quarantine),
        (Self::Ambiguous, "ambiguous", FilterAction::Quarantine),
        (Self::Macro, "macro", FilterAction::Mark),
        (Self::EncryptedArchive, "encrypted-archive", FilterAction::Mark),
        (Self::Damaged, "damaged", FilterAction::Mark),
        (Self::Opaque, "opaque", FilterAction::Mark),
    ];

    /// Its name in the filter's own settings.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(class, ..)| *class == self);
        found.map_or("", |(_, name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name() {
        for (class, name, _) in FilterClass::ALL {
            assert_eq!(class.as_str(), name);
            assert!(!name.is_empty());
        }
    }
}
