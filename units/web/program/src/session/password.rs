//! New passwords. The mail server stores them as we send them, and compares what is not a hash as plain text: so we hash.

use sha_crypt::{PasswordHasher as _, ShaCrypt};

use crate::random;

/// A new password has at least so many characters.
pub(crate) const SHORTEST: usize = 10;
/// The longest that is hashed, bytes.
const LONGEST: usize = 200;
/// What an app password begins with. It is for mail programs: the sign-in page refuses it, or it would be a way around the second factor.
const APP: &str = "app-";
/// Letters and digits that are hard to mix up. 32 of them, so that a byte maps to one without bias.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why a password can't be taken; the key of a text.
pub(crate) fn unfit(new: &str, again: &str, old: &str) -> Option<&'static str> {
    if new != again {
        return Some("account.passwords-differ");
    }
    if new.chars().count() < SHORTEST {
        return Some("account.password-short");
    }
    if new.len() > LONGEST || new.chars().any(char::is_control) {
        return Some("account.password-odd");
    }
    // With a second factor the server parts password and code at the last dollar sign before 6 to 8 digits.
    let code = new.rsplit_once('$').map(|(_, end)| end);
    if code.is_some_and(|end| {
        (6..=8).contains(&end.len()) && end.bytes().all(|it| it.is_ascii_digit())
    }) {
        return Some("account.password-odd");
    }
    (new == old || is_app(new)).then_some("account.password-same")
}

/// SHA-512 crypt of `password`; takes a moment, so it runs where that is allowed.
pub(crate) async fn hash(password: &str) -> Option<String> {
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || {
        // 12 bytes are the 16 characters that crypt(5) allows for a salt.
        let salt = random::bytes::<12>().ok()?;
        ShaCrypt::SHA512
            .hash_password_with_salt(password.as_bytes(), &salt)
            .ok()
            .map(|hash| hash.as_str().to_owned())
    });
    hash.await.ok()?
}

/// A new app password: 100 random bits.
pub(crate) fn generate_app() -> Result<String, random::NoRandomness> {
    let letters = random::bytes::<20>()?.map(|byte| char::from(LETTERS[usize::from(byte) % 32]));
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(format!("{APP}{}", groups.join("-")))
}

/// Whether `password` is one that [`generate_app`] made.
pub(crate) fn is_app(password: &str) -> bool {
    let Some(rest) = password.strip_prefix(APP) else { return false };
    let groups: Vec<&str> = rest.split('-').collect();
    groups.len() == 4
        && groups.iter().all(|it| it.len() == 5 && it.bytes().all(|byte| LETTERS.contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier as _;

    #[tokio::test]
    async fn hashes_are_salted_and_checked() {
        let (first, second) =
            (hash("correct horse").await.unwrap(), hash("correct horse").await.unwrap());
        assert_ne!(first, second);
        assert!(first.starts_with("$6$"), "{first}");
        assert!(ShaCrypt::SHA512.verify_password(b"correct horse", first.as_str()).is_ok());
        assert!(ShaCrypt::SHA512.verify_password(b"wrong horse", first.as_str()).is_err());
    }

    #[test]
    fn passwords_that_do_not_fit() {
        for (new, again, expected) in [
            ("a long password", "a long password", None),
            ("a long password", "another password", Some("account.passwords-differ")),
            ("short", "short", Some("account.password-short")),
            ("the old password", "the old password", Some("account.password-same")),
            ("with\u{7}control", "with\u{7}control", Some("account.password-odd")),
            ("parted$123456", "parted$123456", Some("account.password-odd")),
        ] {
            assert_eq!(unfit(new, again, "the old password"), expected, "{new}");
        }
        let app = generate_app().unwrap();
        assert!(is_app(&app) && !is_app("app-store-password") && unfit(&app, &app, "").is_some());
    }
}
