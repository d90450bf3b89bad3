//! The signed record of a unit.
//!
//! In: foreign text. Out: what it says, and who has signed it; and the reverse. The format is in
//! README.md. Pure.

use std::fmt::{self, Write as _};
use std::iter::{Peekable, Zip};
use std::ops::RangeFrom;
use std::str::Split;

use mailkiln_compile::UsedCrate;
use mailkiln_nix_store::{SecretKey, TrustedPublicKey, signed_by};
use mailkiln_pin::{Arch, Sha256};

/// The longest record, in bytes; the mail server's has about 50 kB.
pub(crate) const MOST_BYTES: u64 = 1 << 20;
/// The largest program, in bytes.
const LARGEST_PROGRAM: u64 = 1 << 30;
/// The first line.
const HEADER: &str = "mailkiln-unit 1";

/// What a unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which component: `agent`.
    pub component: String,
    /// What its programs run on.
    pub target: Arch,
    /// Digest of all inputs.
    pub key: Sha256,
    /// Digest of the toolchain, which is one of these inputs.
    pub toolchain: Sha256,
    /// Name, size in bytes and digest of each program.
    pub programs: Vec<(String, u64, Sha256)>,
    /// What the programs were built from.
    pub crates: Vec<UsedCrate>,
}

/// A record and its signatures, none of which has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The record.
    pub record: Record,
    /// `NAME:BASE64`, at least one.
    signatures: Vec<String>,
}

/// A text is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is of another format, or no record at all.
    #[error("it does not begin with `{HEADER}`")]
    Header,
    /// A line is not understood, or not where it belongs.
    #[error("line {0} is not understood")]
    Line(usize),
    /// Something is missing at its end.
    #[error("it ends too early")]
    End,
    /// Longer than any record is.
    #[error("it is longer than {MOST_BYTES} bytes")]
    Long,
}

impl Record {
    /// Signs the record.
    pub fn sign(self, key: &SecretKey) -> Signed {
        let signatures = vec![key.signature(self.to_string().as_bytes())];
        Signed { record: self, signatures }
    }
}

/// What is signed.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, target, key, toolchain, programs, crates } = self;
        writeln!(f, "{HEADER}\ncomponent {component}\ntarget {target}")?;
        writeln!(f, "key {key}\ntoolchain {toolchain}")?;
        for (name, size, sha256) in programs {
            writeln!(f, "program {name} {size} {sha256}")?;
        }
        for UsedCrate { name, version, sha256, licence } in crates {
            let sha256 = sha256.map_or_else(|| String::from("-"), |digest| digest.to_string());
            let licence = licence.as_deref().unwrap_or("-");
            writeln!(f, "crate {name} {version} {sha256} {licence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "signature {signature}"))
    }
}

impl Signed {
    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(RecordError::Long);
        }
        let text = str::from_utf8(bytes).map_err(|_| RecordError::Header)?;
        let mut lines = Lines::of(text)?;
        let mut record = Record {
            component: lines.needed("component", |text| is_word(text).then(|| text.to_owned()))?,
            target: lines.needed("target", |text| {
                Arch::ALL.into_iter().find(|arch| arch.to_string() == text)
            })?,
            key: lines.needed("key", |text| text.parse().ok())?,
            toolchain: lines.needed("toolchain", |text| text.parse().ok())?,
            programs: Vec::new(),
            crates: Vec::new(),
        };
        while let Some(program) = lines.optional("program", program)? {
            record.programs.push(program);
        }
        while let Some(used) = lines.optional("crate", used_crate)? {
            record.crates.push(used);
        }
        let mut signatures =
            vec![lines.needed("signature", |text| is_word(text).then(|| text.to_owned()))?];
        while let Some(signature) =
            lines.optional("signature", |text| is_word(text).then(|| text.to_owned()))?
        {
            signatures.push(signature);
        }
        match lines.rest.next() {
            None => Ok(Self { record, signatures }),
            Some((number, _)) => Err(RecordError::Line(number)),
        }
    }

    /// The first of `keys` that has signed the record.
    pub fn signed_by<'a>(&self, keys: &'a [TrustedPublicKey]) -> Option<&'a TrustedPublicKey> {
        let message = self.record.to_string();
        let of = |signature: &String| signed_by(message.as_bytes(), signature, keys);
        self.signatures.iter().find_map(of)
    }

    /// Names of the keys that, as it says, have signed it; escaped.
    pub fn signers(&self) -> String {
        let name = |signature: &String| {
            let name = signature.split(':').next().unwrap_or_default();
            name.escape_debug().take(80).collect::<String>()
        };
        self.signatures.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Adds the signatures of another record of the same content.
    #[must_use]
    pub fn with_signatures_of(mut self, other: &Self) -> Self {
        if other.record == self.record {
            let new: Vec<_> =
                other.signatures.iter().filter(|one| !self.signatures.contains(one)).collect();
            self.signatures.extend(new.into_iter().cloned());
            self.signatures.sort();
        }
        self
    }
}

/// The lines that have not been read.
struct Lines<'a> {
    rest: Peekable<Zip<RangeFrom<usize>, Split<'a, char>>>,
}

impl<'a> Lines<'a> {
    /// All lines but the first.
    fn of(text: &'a str) -> Result<Self, RecordError> {
        let body = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        let body = body.ok_or(RecordError::Header)?;
        // Only one way to write a record is read, so that what was signed is what was read.
        let body = body.strip_suffix('\n').ok_or(RecordError::End)?;
        Ok(Self { rest: (2..).zip(body.split('\n')).peekable() })
    }

    fn needed<T>(
        &mut self,
        word: &str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<T, RecordError> {
        let number = self.rest.peek().map(|(number, _)| *number).ok_or(RecordError::End)?;
        self.optional(word, read)?.ok_or(RecordError::Line(number))
    }

    /// The next line's value if it begins with `word`.
    fn optional<T>(
        &mut self,
        word: &str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        let Some((number, line)) = self.rest.peek().copied() else { return Ok(None) };
        let Some(value) = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) else {
            return Ok(None);
        };
        self.rest.next();
        read(value).map(Some).ok_or(RecordError::Line(number))
    }
}

fn program(text: &str) -> Option<(String, u64, Sha256)> {
    let [name, size, sha256] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let bytes: u64 = size.parse().ok().filter(|bytes| *bytes <= LARGEST_PROGRAM)?;
    // `+1` and `01` are numbers too.
    let plain = bytes.to_string() == size && is_word(name) && !name.contains('/');
    (plain && !name.starts_with('.')).then_some(())?;
    Some((name.to_owned(), bytes, sha256.parse().ok()?))
}

fn used_crate(text: &str) -> Option<UsedCrate> {
    let mut parts = text.splitn(4, ' ');
    let (name, version, sha256, licence) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    (is_word(name) && is_word(version) && plain(licence)).then_some(())?;
    Some(UsedCrate {
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: if sha256 == "-" { None } else { Some(sha256.parse().ok()?) },
        licence: (licence != "-").then(|| licence.to_owned()),
    })
}

/// Printable ASCII without blanks.
fn is_word(text: &str) -> bool {
    (1..=400).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A record that can be written: names and licences come from manifests that anyone may write.
impl Record {
    /// The record without what its format can't hold: licences with line breaks.
    #[must_use]
    pub fn plain(mut self) -> Self {
        for used in &mut self.crates {
            if let Some(licence) = &mut used.licence {
                let mut text = String::new();
                for word in licence.split_whitespace() {
                    let gap = if text.is_empty() { "" } else { " " };
                    let _ = write!(text, "{gap}{word}");
                }
                text.retain(|c| !c.is_control());
                *licence = text;
            }
            if used.licence.as_deref().is_some_and(|licence| licence.is_empty() || licence == "-") {
                used.licence = None;
            }
        }
        self
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
