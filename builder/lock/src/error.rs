//! What can be wrong with a lock file, and what to do about it.

use mailkiln_pin::{Arch, BadPackageField};

/// A lock that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not TOML, or not the fields that a lock has.
    #[error("mailkiln.lock can't be read: {0}\nmake it afresh with `mailkiln lock`")]
    Syntax(String),
    /// More text than any lock has.
    #[error(
        "mailkiln.lock is larger than {limit} bytes: that is not a lock; create a new one with `mailkiln lock`"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Made by another version of Mailkiln.
    #[error(
        "mailkiln.lock has format {found}, this mailkiln reads format {known}: use the mailkiln that made it, or make it afresh with `mailkiln lock`"
    )]
    Version {
        /// The format that the file names.
        found: u32,
        /// The format known here.
        known: u32,
    },
    /// A package's key or fields break Debian's rules.
    #[error("mailkiln.lock, package `{key}`: {source}")]
    Package {
        /// The package's key in the file.
        key: String,
        /// What is wrong.
        source: BadPackageField,
    },
    /// A set that is not `name-architecture`.
    #[error(
        "mailkiln.lock, package `{package}`: `{set}` is not a set; write for example `image-x86_64`"
    )]
    Set {
        /// The package.
        package: String,
        /// What stands in the file.
        set: String,
    },
    /// Two different files for the same package.
    #[error(
        "mailkiln.lock pins `{package}` twice with different files: make it afresh with `mailkiln lock`"
    )]
    Twice {
        /// The package.
        package: String,
    },
    /// The version in a line's key is not that of the line.
    #[error("mailkiln.lock, package `{key}`: its `version` is another one")]
    OtherVersion {
        /// The line's key.
        key: String,
    },
    /// A component entry that can't be right.
    #[error("mailkiln.lock, component `{name}`: {what}")]
    Component {
        /// The component's name.
        name: String,
        /// What is wrong and what to write.
        what: String,
    },
    /// A set that the lock does not have.
    #[error(
        "mailkiln.lock has no packages `{set}` for {arch}: update it with `mailkiln lock --update`"
    )]
    NoSuchSet {
        /// The set that was asked for.
        set: String,
        /// The machine that it was asked for.
        arch: Arch,
    },
    /// A component that the lock does not have.
    #[error("mailkiln.lock has no component `{name}`: update it with `mailkiln lock --update`")]
    NoSuchComponent {
        /// The component that was asked for.
        name: String,
    },
}

impl LockError {
    pub(crate) fn syntax(error: toml::de::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}
