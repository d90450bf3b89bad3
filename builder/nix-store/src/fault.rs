//! What is wrong with a cache.
//!
//! In: what `verify` found. Out: one line for people, with the place, the store path and the cure.

use std::fmt;

use nix_archive::nar;
use nix_narinfo::ParseError;

use crate::info::CacheInfoError;

/// Something wrong with a cache.
#[derive(Debug)]
pub struct Fault {
    /// The file in the cache.
    pub place: String,
    /// The store path in question, as far as it is known.
    pub path: Option<String>,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// A file can't be read, or not to its end.
    #[error("can't be read: {0}")]
    File(std::io::Error),
    /// `nix-cache-info` is missing.
    #[error("can't be read: {0}")]
    NoInfo(std::io::Error),
    /// `nix-cache-info` is wrong.
    #[error("{0}")]
    Info(CacheInfoError),
    /// A record is none.
    #[error("is not a record of a store path: {0}")]
    Record(ParseError),
    /// A record has another path's name.
    #[error("describes a path whose record is called {0}")]
    Name(String),
    /// A record with the same hash part describes another path than the one that was asked for.
    #[error("describes {0}, which is another path")]
    Other(String),
    /// A record names a file that is none of the cache's.
    #[error("names the file `{0}`, which is not inside the cache")]
    Outside(String),
    /// A record leaves out the digest or length of its file.
    #[error("does not say the digest and length of its file")]
    NoFileDigest,
    /// A compression that is not known here.
    #[error("is compressed by `{0}`, of which nothing is known here")]
    Compression(String),
    /// The file has other bytes than the record says.
    #[error("has not the {0} that its record says")]
    FileDiffers(&'static str),
    /// What the file unpacks to is something else than the record says.
    #[error("does not unpack to the archive that its record says: another {0}")]
    NarDiffers(&'static str),
    /// What the file unpacks to is no archive.
    #[error("does not unpack to an archive: {0}")]
    Nar(nar::Error),
    /// Content, name and references make another path.
    #[error("has not the path that its content, its name and its references make")]
    Address,
    /// Nothing ties the path to its content.
    #[error("has no signature of a trusted key")]
    Signature,
    /// Something that is needed is not there.
    #[error("refers to {0}, which is not in the cache")]
    Reference(String),
}

impl Flaw {
    /// What to do.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NoInfo(_) => "name the folder of a cache: each has this file",
            Self::Info(_) => "write it again, or take another cache",
            Self::Signature => "export again with the key, or pass its public half",
            Self::Reference(_) => {
                "bring that path too: `nix copy --to file://DIR`, or export again"
            }
            Self::Compression(_) => {
                "take zstd, xz or none: `nix copy --to 'file://DIR?compression=zstd'`"
            }
            Self::NoFileDigest => "let whatever wrote the cache write it again",
            Self::Name(_) | Self::Other(_) | Self::Outside(_) | Self::Address => {
                "do not use it; remove it, and export again"
            }
            Self::File(_)
            | Self::Record(_)
            | Self::FileDiffers(_)
            | Self::NarDiffers(_)
            | Self::Nar(_) => "remove it and its record, and export or copy again",
        }
    }
}

impl fmt::Display for Fault {
    /// One line; what comes from the cache is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place.escape_debug(), Escaped(&self.flaw))?;
        if let Some(path) = &self.path {
            write!(f, " ({})", path.escape_debug())?;
        }
        write!(f, "; {}", self.flaw.cure())
    }
}

/// A flaw in one line of printable characters.
struct Escaped<'a>(&'a Flaw);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_debug())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
