//! What is wrong with a seed, and what to do about it. Never what a secret is.

use mailkiln_spec::Flaw;

/// A seed can't be made, read or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// The folder is none.
    #[error("it has no seed.toml: `mailkiln seed new DIR` makes a seed")]
    NoDocument,
    /// A file is not text.
    #[error("{file} is not UTF-8 text")]
    NotText {
        /// Its path in the folder.
        file: String,
    },
    /// `seed.toml` can't be read. Its line is not shown: a password may be in it.
    #[error("seed.toml, line {line}: {why}")]
    Document {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A value in `seed.toml` can't be used.
    #[error("seed.toml: {0}")]
    Value(Flaw),
    /// A secret in `seed.toml` can't be used.
    #[error("seed.toml: {place} {why}")]
    BadSecret {
        /// Which.
        place: String,
        /// Why, and what to write.
        why: &'static str,
    },
    /// A file in `dkim` has a name that says nothing.
    #[error("{file} is not a DKIM key: their names are rsa-DOMAIN.pem and ed25519-DOMAIN.pem")]
    DkimName {
        /// Its path in the folder.
        file: String,
    },
    /// One of two keys.
    #[error(
        "{domain} has no {missing} key in dkim: put both back, or take both out and the device \
         makes its own"
    )]
    HalfDkim {
        /// The domain.
        domain: String,
        /// Which of the two.
        missing: &'static str,
    },
    /// A private key can't be used.
    #[error("{file} is not {what}: put the file of `mailkiln seed new` back, or take it out")]
    Key {
        /// Its path in the folder.
        file: String,
        /// What it should be.
        what: &'static str,
    },
    /// The list of passwords can't be used.
    #[error("the list of passwords, line {line}: {why}")]
    Passwords {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A password for somebody who has no account.
    #[error("the list of passwords names {0}, who is no [[account]] of mail.toml")]
    NoAccount(String),
    /// The seed has no room.
    #[error(
        "the seed has {size} bytes, and an image has room for {room}: leave domains' DKIM keys out"
    )]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// Bytes of the place in an image.
        room: u64,
    },
    /// Something could not be made.
    #[error("{0} could not be made: the kernel gives no random numbers; try again")]
    NotMade(&'static str),
}
