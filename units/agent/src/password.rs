//! Passwords: made from the kernel's randomness, and hashed as the mail server checks them.
//!
//! In: nothing, or a password. Out: text. The hash is SHA-512 crypt (`$6$`), which the mail server
//! accepts for its administrator and for accounts.

use ring::rand::{SecureRandom as _, SystemRandom};
use sha_crypt::{PasswordHasher as _, PasswordVerifier as _, ShaCrypt};

/// Letters and digits that are hard to mix up when they are copied from a screen: no `0`, `1`,
/// `l` and `o`. 32 of them, so that a byte maps to one without bias.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why there is no password, or no hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The kernel gave no random bytes.
    #[error("the kernel gives no random numbers; wait a moment and start again")]
    NoRandomness,
    /// The hash function refused.
    #[error("the password cannot be hashed; choose one of 1 to 200 printable characters")]
    NotHashable,
    /// A hash that the mail server can't check.
    #[error(
        "this is not a hash that the mail server can check: expected SHA-512 crypt, bcrypt or Argon2; \
         `mkpasswd -m sha-512` makes one"
    )]
    ForeignHash,
}

/// A password of 100 random bits, in four groups: `abcde-fghij-kmnpq-rstuv`.
///
/// # Errors
/// [`PasswordError::NoRandomness`].
pub fn generate() -> Result<String, PasswordError> {
    let letters = random_letters::<20>()?;
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-"))
}

/// A key of 64 random characters, 320 bits.
///
/// # Errors
/// [`PasswordError::NoRandomness`].
pub fn generate_key() -> Result<String, PasswordError> {
    Ok(random_letters::<64>()?.iter().collect())
}

fn random_letters<const N: usize>() -> Result<[char; N], PasswordError> {
    let bytes = random_bytes::<N>()?;
    Ok(bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])))
}

/// Random bytes of the kernel.
///
/// # Errors
/// [`PasswordError::NoRandomness`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], PasswordError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PasswordError::NoRandomness)?;
    Ok(bytes)
}

/// The SHA-512 crypt of `password` with a random salt: `$6$rounds=5000$SALT$HASH`.
///
/// # Errors
/// [`PasswordError`]; [`check`] says whether a password can be hashed at all.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    // 12 bytes are the 16 characters that crypt(5) allows for a salt.
    let salt = random_bytes::<12>()?;
    ShaCrypt::SHA512
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.as_str().to_owned())
        .map_err(|_| PasswordError::NotHashable)
}

/// Whether `hash` is one of `password`.
pub fn verify(password: &str, hash: &str) -> bool {
    ShaCrypt::SHA512.verify_password(password.as_bytes(), hash).is_ok()
}

/// Whether the mail server can check passwords against `hash`: SHA-256 or SHA-512 crypt, bcrypt,
/// Argon2, scrypt or PBKDF2 in the notation of crypt(5) or of a PHC string.
///
/// # Errors
/// [`PasswordError::ForeignHash`].
pub fn check_hash(hash: &str) -> Result<(), PasswordError> {
    const KNOWN: [&str; 8] =
        ["$5$", "$6$", "$2a$", "$2b$", "$2y$", "$argon2", "$scrypt$", "$pbkdf2"];
    let fine = KNOWN.iter().any(|start| hash.starts_with(start))
        && hash.len() > 20
        && hash.chars().all(|c| c.is_ascii_graphic());
    if fine { Ok(()) } else { Err(PasswordError::ForeignHash) }
}

/// Whether somebody can type `password` into a mail program: 1 to 200 printable characters.
///
/// # Errors
/// [`PasswordError::NotHashable`].
pub fn check(password: &str) -> Result<(), PasswordError> {
    let fine = !password.is_empty()
        && password.chars().count() <= 200
        && !password.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(PasswordError::NotHashable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_their_form_and_differ() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 23);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [5; 4]);
        assert!(one.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)));
        assert_eq!(generate_key().unwrap().len(), 64);
    }

    #[test]
    fn hashes_are_those_of_crypt() {
        // Test vectors of Ulrich Drepper's specification, SHA-crypt.txt.
        for (password, hash) in [
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJ\
                 uesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sb\
                 HbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
        ] {
            assert!(verify(password, hash), "{hash}");
            assert!(!verify("hello world!", hash));
        }
    }

    #[test]
    fn hash_round_trips() {
        let hashed = hash("pässword").unwrap();
        assert!(hashed.starts_with("$6$rounds=5000$"), "{hashed}");
        assert!(verify("pässword", &hashed) && !verify("password", &hashed));
        assert!(!verify("x", "") && !verify("x", "$6$"));
    }

    #[test]
    fn hashes_that_the_server_cannot_check_are_refused() {
        for good in [&*hash("x").unwrap(), "$2b$05$abcdefghijklmnopqrstuu", "$argon2id$v=19$m=4096"]
        {
            assert_eq!(check_hash(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "secret",
            "$y$j9T$abcdefghijklmnopqrstu",
            "$6$",
            "$6$salt$with blank in the middle",
        ] {
            assert_eq!(check_hash(bad), Err(PasswordError::ForeignHash), "{bad}");
        }
    }

    #[test]
    fn unusable_passwords_are_refused() {
        for (password, fine) in
            [("", false), ("a\nb", false), ("a b ü", true), (&"x".repeat(201), false)]
        {
            assert_eq!(check(password).is_ok(), fine, "{password:?}");
        }
    }
}
