//! Signatures of files, in minisign's format.
//!
//! In: the text of a key, the bytes of a file. Out: the text of a `.minisig`, or whether one is right.
//! Both the keys and the signatures are those of the program `minisign`, so that whoever gets an image
//! can check it without mailkiln. Only the prehashed form (`ED`) is made and taken, and only secret keys
//! without a password (`minisign -G -W`). Pure but for reading the file. Source of the format:
//! <https://jedisct1.github.io/minisign/>.

mod text;

use std::fmt;
use std::io::{self, Read};

use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, VerifyingKey};

use text::{bytes, lines, packed};

/// Algorithm of keys.
const KEY: [u8; 2] = *b"Ed";
/// Algorithm of signatures: of the file's BLAKE2b-512.
const PREHASHED: [u8; 2] = *b"ED";
/// How the checksum of a secret key is made.
const CHECKSUM: [u8; 2] = *b"B2";
/// No password.
const PLAIN: [u8; 2] = [0; 2];
/// Salt and limits of a password that there is not.
const UNUSED: usize = 32 + 8 + 8;
/// Longest key or signature file.
pub const LONGEST: u64 = 4096;
/// A trusted comment is one line of at most so many bytes.
const COMMENT: usize = 1024;

/// Why there is no signature, or not a right one.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Another file.
    #[error("this is not a minisign {0}")]
    Format(&'static str),
    /// A secret key behind a password.
    #[error("this secret key has a password; make one without: `mailkiln keygen --minisign NAME`")]
    Password,
    /// A secret key that is damaged.
    #[error("this secret key is damaged: its checksum is wrong")]
    Damaged,
    /// The signature is of another key.
    #[error("it is signed by the key {found}, not by {wanted}")]
    OtherKey {
        /// The signature's.
        found: KeyId,
        /// The one that was given.
        wanted: KeyId,
    },
    /// The older form, of the whole file.
    #[error("its signature is of minisign's older form: sign it again with a current minisign")]
    Older,
    /// The file was changed after it was signed, or the signature was.
    #[error("its signature is wrong: the file is not what was signed")]
    Wrong,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A comment that does not fit a line.
    #[error("the comment of a signature is one line of at most {COMMENT} bytes")]
    Comment,
}

/// The number of a key, by which people tell keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

/// As minisign prints it: a little-endian number.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// What signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its number.
    pub id: KeyId,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads a `.pub` file, or only its line of base64.
    ///
    /// # Errors
    /// [`SignatureError::Format`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let wrong = || SignatureError::Format("public key");
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
        let raw = bytes::<42>(line.ok_or_else(wrong)?).ok_or_else(wrong)?;
        let (algorithm, id, key) = (part(&raw, 0), part(&raw, 2), part(&raw, 10));
        if algorithm != KEY {
            return Err(wrong());
        }
        let key = VerifyingKey::from_bytes(&key).map_err(|_| wrong())?;
        Ok(Self { id: KeyId(id), key })
    }

    /// The line of base64, which is all that has to be published.
    pub fn line(&self) -> String {
        packed(&[&KEY, &self.id.0, self.key.as_bytes()])
    }

    /// The `.pub` file.
    pub fn text(&self) -> String {
        format!("untrusted comment: minisign public key {}\n{}\n", self.id, self.line())
    }

    /// Checks that `file` is what `signature`, the text of a `.minisig`, was made of. Returns the trusted
    /// comment.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, file: impl Read, signature: &str) -> Result<String, SignatureError> {
        let wrong = || SignatureError::Format("signature");
        let [untrusted, signed, trusted, global] = lines(signature).ok_or_else(wrong)?;
        let comment = trusted.strip_prefix("trusted comment: ").ok_or_else(wrong)?;
        if !untrusted.starts_with("untrusted comment:") {
            return Err(wrong());
        }
        let raw = bytes::<74>(signed).ok_or_else(wrong)?;
        let (algorithm, id, ed25519) = (part(&raw, 0), KeyId(part(&raw, 2)), part::<64>(&raw, 10));
        let global = bytes::<64>(global).ok_or_else(wrong)?;
        match algorithm {
            PREHASHED => {}
            KEY => return Err(SignatureError::Older),
            _ => return Err(wrong()),
        }
        if id != self.id {
            return Err(SignatureError::OtherKey { found: id, wanted: self.id });
        }
        let hash = hash(file)?;
        let check = |message: &[u8], ed25519: &[u8; 64]| {
            let signature = Ed25519::from_bytes(ed25519);
            self.key.verify_strict(message, &signature).map_err(|_| SignatureError::Wrong)
        };
        check(&hash, &ed25519)?;
        check(&[&ed25519, comment.as_bytes()].concat(), &global)?;
        Ok(comment.to_owned())
    }
}

/// What signatures are made with.
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey {}", self.id)
    }
}

impl SecretKey {
    /// A key of random bytes: the key's own 32, and 8 that number it.
    pub fn from_random(seed: [u8; 32], id: [u8; 8]) -> Self {
        Self { id: KeyId(id), key: SigningKey::from_bytes(&seed) }
    }

    /// Reads a secret key file.
    ///
    /// # Errors
    /// [`SignatureError`], also for one that has a password.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let wrong = || SignatureError::Format("secret key");
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let (Some(comment), Some(line), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong());
        };
        let raw = bytes::<158>(line.trim()).ok_or_else(wrong)?;
        if !comment.starts_with("untrusted comment:")
            || part(&raw, 0) != KEY
            || part(&raw, 4) != CHECKSUM
        {
            return Err(wrong());
        }
        if part(&raw, 2) != PLAIN {
            return Err(SignatureError::Password);
        }
        let at = 6 + UNUSED;
        let (id, pair) = (part(&raw, at), part::<64>(&raw, at + 8));
        // minisign leaves the checksum of a key without a password empty; the two halves of the pair are compared below.
        let stored = part(&raw, at + 72);
        if stored != [0; 32] && stored != checksum(&id, &pair) {
            return Err(SignatureError::Damaged);
        }
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| SignatureError::Damaged)?;
        Ok(Self { id: KeyId(id), key })
    }

    /// The secret key file.
    pub fn text(&self) -> String {
        let pair = self.key.to_keypair_bytes();
        let checksum = checksum(&self.id.0, &pair);
        let line = packed(&[&KEY, &PLAIN, &CHECKSUM, &[0; UNUSED], &self.id.0, &pair, &checksum]);
        format!("untrusted comment: minisign secret key {}\n{line}\n", self.id)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { id: self.id, key: self.key.verifying_key() }
    }

    /// The `.minisig` of `file`. `comment` is signed too: the file's name, so that one image cannot be
    /// passed off as another.
    ///
    /// # Errors
    /// [`SignatureError::Read`] and [`SignatureError::Comment`].
    pub fn sign(&self, file: impl Read, comment: &str) -> Result<String, SignatureError> {
        if comment.len() > COMMENT || comment.chars().any(char::is_control) {
            return Err(SignatureError::Comment);
        }
        let signature = self.key.sign(&hash(file)?).to_bytes();
        let global = self.key.sign(&[&signature, comment.as_bytes()].concat()).to_bytes();
        Ok(format!(
            "untrusted comment: signature from mailkiln, key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.id,
            packed(&[&PREHASHED, &self.id.0, &signature]),
            packed(&[&global]),
        ))
    }
}

fn hash(mut file: impl Read) -> io::Result<[u8; 64]> {
    let mut hash = Blake2b512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn checksum(id: &[u8; 8], pair: &[u8; 64]) -> [u8; 32] {
    let mut hash = Blake2b::<U32>::new();
    for part in [&KEY[..], id, pair] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// `N` bytes of `all` from `at` on; the caller has checked the length.
fn part<const N: usize>(all: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&all[at..at + N]);
    part
}

/// Reads `bytes` as each of the three kinds of file, for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (PublicKey::parse(&text), SecretKey::parse(&text));
    let _ = SecretKey::from_random([7; 32], [1; 8]).public().verify(&b""[..], &text);
}
