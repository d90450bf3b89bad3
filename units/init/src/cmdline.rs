//! The kernel command line: which root to open and how talkative to be.
//!
//! In: the text of `/proc/cmdline`. Out: a [`Boot`]. Words that are not ours (`console=`,
//! `systemd.*`) are left to the kernel and to systemd.

use std::fmt;

use crate::gpt::Guid;

/// What the command line asks of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// `roothash=`: the SHA-256 root hash of the dm-verity tree.
    pub root_hash: RootHash,
    /// `mailkiln.verity_data_blocks=`: length of the root file system in blocks of 4096 bytes.
    pub data_blocks: u64,
    /// `mailkiln.debug`: say every step and every module on the console.
    pub debug: bool,
}

/// Why a command line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmdlineError {
    /// A word that must be there is not.
    #[error("the kernel command line has no `{0}`; boot the entry that the image came with")]
    Missing(&'static str),
    /// A word is there, but its value makes no sense.
    #[error(
        "the kernel command line says `{key}={value}`, but {rule}; boot the entry that the image came with"
    )]
    Invalid {
        /// The word before `=`.
        key: &'static str,
        /// What was found.
        value: String,
        /// What would have been right.
        rule: &'static str,
    },
}

/// A SHA-256 root hash of a dm-verity tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RootHash([u8; 32]);

impl RootHash {
    /// Reads 64 hexadecimal digits; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(bytes))
    }

    /// PARTUUID of the root partition: the first 128 bits (Discoverable Partitions Specification,
    /// "Suggested Mode of Operation").
    pub fn root_partition(&self) -> Guid {
        Guid::from_text_order(self.half(0))
    }

    /// PARTUUID of the verity partition: the last 128 bits (same source).
    pub fn verity_partition(&self) -> Guid {
        Guid::from_text_order(self.half(16))
    }

    fn half(&self, from: usize) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[from..from + 16]);
        half
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootHash({self})")
    }
}

impl Boot {
    /// Reads a kernel command line. The last of several equal words counts, as in the kernel.
    ///
    /// # Errors
    /// [`CmdlineError`] when `roothash=` or `mailkiln.verity_data_blocks=` is missing or malformed.
    pub fn parse(cmdline: &str) -> Result<Self, CmdlineError> {
        let (mut root_hash, mut data_blocks, mut debug) = (None, None, false);
        for word in words(cmdline) {
            match word.split_once('=').unwrap_or((word, "")) {
                ("roothash", value) => root_hash = Some(value),
                ("mailkiln.verity_data_blocks", value) => data_blocks = Some(value),
                ("mailkiln.debug", value) => debug = value != "0",
                _ => {}
            }
        }
        Ok(Self {
            root_hash: parse_root_hash(root_hash.ok_or(CmdlineError::Missing("roothash="))?)?,
            data_blocks: parse_data_blocks(
                data_blocks.ok_or(CmdlineError::Missing("mailkiln.verity_data_blocks="))?,
            )?,
            debug,
        })
    }
}

/// The words of a command line; `"…"` holds blanks together (Documentation/admin-guide/
/// kernel-parameters.rst). What follows a lone `--` belongs to init and is no parameter.
fn words(cmdline: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    cmdline
        .split(move |c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        })
        .filter(|word| !word.is_empty())
        .take_while(|word| *word != "--")
}

fn parse_root_hash(value: &str) -> Result<RootHash, CmdlineError> {
    RootHash::from_hex(value).ok_or_else(|| CmdlineError::Invalid {
        key: "roothash",
        value: value.to_owned(),
        rule: "a root hash is 64 hexadecimal digits",
    })
}

/// Upper bound: dm counts in sectors of 512 bytes in a u64, and no medium comes near it.
const MAX_DATA_BLOCKS: u64 = 1 << 40;

fn parse_data_blocks(value: &str) -> Result<u64, CmdlineError> {
    value.parse().ok().filter(|n| (1..=MAX_DATA_BLOCKS).contains(n)).ok_or_else(|| {
        CmdlineError::Invalid {
            key: "mailkiln.verity_data_blocks",
            value: value.to_owned(),
            rule: "the number of blocks is a decimal number of 1 or more",
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    #[test]
    fn reads_what_the_builder_writes_among_foreign_words() {
        let line = format!(
            "BOOT_IMAGE=/kiln/vmlinuz console=ttyS0 quiet roothash={HASH} \
             mailkiln.verity_data_blocks=41234 systemd.unit=\"x y.target\" mailkiln.debug\n"
        );
        let boot = Boot::parse(&line).unwrap();
        assert_eq!(boot.root_hash.to_string(), HASH);
        assert_eq!(boot.data_blocks, 41234);
        assert!(boot.debug);
        assert_eq!(
            boot.root_hash.root_partition().to_string(),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(
            boot.root_hash.verity_partition().to_string(),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
    }

    #[test]
    fn refuses_what_it_cannot_use() {
        let cases = [
            ("", "no `roothash=`"),
            (&format!("roothash={HASH}"), "no `mailkiln.verity_data_blocks=`"),
            ("roothash=zz mailkiln.verity_data_blocks=1", "64 hexadecimal digits"),
            (&format!("roothash={}+f mailkiln.verity_data_blocks=1", &HASH[2..]), "64 hex"),
            (&format!("roothash={HASH} mailkiln.verity_data_blocks=0"), "1 or more"),
            (&format!("roothash={HASH} mailkiln.verity_data_blocks=99999999999999"), "1 or more"),
            (&format!("roothash={HASH} -- mailkiln.verity_data_blocks=1"), "no `mailkiln"),
            (&format!("roothash={HASH} x=\"a mailkiln.verity_data_blocks=1 b\""), "no `mailkiln"),
        ];
        for (line, expected) in cases {
            let error = Boot::parse(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line:?}: {error}");
        }
    }

    #[test]
    fn the_last_word_counts() {
        let line = format!(
            "mailkiln.debug roothash=bad roothash={HASH} mailkiln.verity_data_blocks=1 \
             mailkiln.verity_data_blocks=2 mailkiln.debug=0"
        );
        let boot = Boot::parse(&line).unwrap();
        assert_eq!((boot.data_blocks, boot.debug), (2, false));
    }

    proptest! {
        #[test]
        fn hash_round_trips(bytes: [u8; 32]) {
            let text: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
            let hash = RootHash::from_hex(&text).unwrap();
            prop_assert_eq!(hash.to_string(), text.to_lowercase());
        }

        #[test]
        fn never_panics(line in ".{0,200}") {
            let _ = Boot::parse(&line);
        }
    }
}
