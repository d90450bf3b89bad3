//! Passwords: made, listed by their owner, hashed as the mail server checks them.
//!
//! In: nothing, or the text of a list. Out: passwords, and SHA-512 crypt (`$6$`) of them, the same
//! as `units/agent/src/password.rs`.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_spec::Address;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha_crypt::{PasswordHasher as _, ShaCrypt};

use crate::{Secret, SeedError};

/// Letters and digits that are hard to mix up when they are copied from a screen. 32 of them, so
/// that a byte maps to one without bias.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A password that somebody has chosen has at least so many characters, as where people change theirs
/// (`units/agent/src/page`): the machine is on the Internet from the first minute on.
const SHORTEST: usize = 10;
/// And at least so many different ones.
const DIFFERENT: usize = 5;
/// And so many beside the account's name and words that are tried first.
const BESIDE: usize = 7;
const COMMON: [&str; 6] =
    ["password", "passwort", "qwertyuiop", "qwertzuiop", "letmein", "changeme"];

/// Why a password is too easy to guess.
fn weakness(who: &str, password: &str) -> Option<&'static str> {
    let plain = password.to_lowercase();
    let name = who.split('@').next().unwrap_or_default().to_lowercase();
    let known = COMMON.into_iter().chain(Some(name.as_str()).filter(|name| name.len() >= 3));
    let rest = known.fold(plain.clone(), |rest, word| rest.replace(word, ""));
    let different: BTreeSet<char> = plain.chars().collect();
    if password.chars().count() < SHORTEST {
        Some("a password has at least 10 characters: write a longer one, such as four words")
    } else if different.len() < DIFFERENT || is_run(&plain) {
        Some("it repeats or counts: write another password, such as four words")
    } else if rest.chars().count() < BESIDE {
        Some(
            "it is little more than a word that is tried first: write another password, such as four words",
        )
    } else {
        None
    }
}

/// Whether each character follows the one before: `1234567890`, `abcdefghij`, backwards too.
fn is_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps: BTreeSet<i64> =
        codes.windows(2).filter_map(|two| Some(two.get(1)? - two.first()?)).collect();
    steps.iter().all(|step| [1, -1, -9, 9].contains(step))
}

/// Who is no account in a list of passwords.
const ADMINISTRATOR: &str = "admin";

/// A password of 100 random bits, in four groups: `abcde-fghij-kmnpq-rstuv`.
///
/// # Errors
/// [`SeedError::NotMade`].
pub fn generate() -> Result<Secret, SeedError> {
    let mut bytes = [0; 20];
    let failed = |_| SeedError::NotMade("a password");
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(Secret::new(groups.join("-")))
}

/// The SHA-512 crypt of a password, with a random salt.
pub(crate) fn hash(password: &Secret) -> Result<Secret, SeedError> {
    // 12 bytes are the 16 characters that crypt(5) allows for a salt.
    let mut salt = [0; 12];
    let failed = || SeedError::NotMade("the hash of a password");
    SystemRandom::new().fill(&mut salt).map_err(|_| failed())?;
    ShaCrypt::SHA512
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map(|hash| Secret::new(hash.as_str()))
        .map_err(|_| failed())
}

/// Whether a text is such a hash: `$6$[rounds=N$]SALT$86 characters` (crypt(5)).
pub(crate) fn is_hash(text: &str) -> bool {
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
    let mut parts = text.strip_prefix("$6$").unwrap_or_default().split('$').peekable();
    if let Some(rounds) = parts.peek().and_then(|part| part.strip_prefix("rounds=")) {
        // Fewer are weak; with many more, every login is an attack on the machine.
        if !rounds.parse().is_ok_and(|rounds: u32| (1000..=10_000_000).contains(&rounds)) {
            return false;
        }
        parts.next();
    }
    match (parts.next(), parts.next(), parts.next()) {
        (Some(salt), Some(sum), None) => {
            (1..=16).contains(&salt.len()) && sum.len() == 86 && plain(salt) && plain(sum)
        }
        _ => false,
    }
}

/// First passwords that their owner has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwords {
    /// The administrator's.
    pub admin: Option<Secret>,
    /// Those of accounts.
    pub accounts: BTreeMap<Address, Secret>,
}

impl Passwords {
    /// Reads a list: on each line an address, or `admin`, and behind a blank the password, which
    /// may have blanks inside. Lines that are empty or begin with `#` are skipped.
    ///
    /// # Errors
    /// [`SeedError::Passwords`] with the line's number; never with the password.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let mut passwords = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| SeedError::Passwords { line: number, why };
            let (who, password) = line
                .split_once([' ', '\t'])
                .ok_or_else(|| wrong("write an address, a blank, and the password".to_owned()))?;
            let password = password.trim_start();
            if password.chars().count() > 200 || password.chars().any(char::is_control) {
                return Err(wrong(
                    "a password has at most 200 characters, all printable".to_owned(),
                ));
            }
            if let Some(why) = weakness(who, password) {
                return Err(wrong(why.to_owned()));
            }
            let password = Secret::new(password);
            let earlier = if who == ADMINISTRATOR {
                passwords.admin.replace(password)
            } else {
                // Not the flaw itself: if the order was mixed up, it would show the password.
                let address: Address = who.parse().map_err(|_| {
                    wrong("it begins with neither `admin` nor an address".to_owned())
                })?;
                passwords.accounts.insert(address, password)
            };
            if earlier.is_some() {
                return Err(wrong("it names an account twice".to_owned()));
            }
        }
        Ok(passwords)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier as _;

    #[test]
    fn hashes_are_checked_as_the_server_does() {
        let password = generate().unwrap();
        assert_eq!(password.expose().len(), 23);
        let hash = hash(&password).unwrap();
        assert!(is_hash(hash.expose()));
        let verify = |text: &str| ShaCrypt::SHA512.verify_password(text.as_bytes(), hash.expose());
        assert!(verify(password.expose()).is_ok() && verify("x").is_err());
        // SHA-crypt.txt, without rounds.
        assert!(is_hash(
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
        ));
        let sum = "x".repeat(86);
        for other in [
            String::new(),
            "hunter2".to_owned(),
            format!("$5$salt${sum}"),
            format!("$6$rounds=1${sum}"),
            format!("$6$rounds=5000$salt${sum}$"),
            format!("$6$rounds=99999999$salt${sum}"),
            format!("$6$sa:lt${sum}"),
            format!("$6$salt${sum}\n"),
        ] {
            assert!(!is_hash(&other), "{other:?}");
        }
    }

    #[test]
    fn lists_of_passwords() {
        let list = "# first\nadmin  correct horse \n\nAlice@example.org\tb\u{fc}cher im regal\n";
        let passwords = Passwords::parse(list).unwrap();
        assert_eq!(passwords.admin, Some(Secret::new("correct horse")));
        let alice = "alice@example.org".parse().unwrap();
        assert_eq!(passwords.accounts[&alice], Secret::new("b\u{fc}cher im regal"));
        for (list, reason) in [
            ("admin", "a blank"),
            ("\n\nhunter2 alice@example.org", "line 3: it begins with neither"),
            ("admin battery staple\nadmin battery horse", "line 2: it names an account twice"),
            ("admin hunter2", "line 1: a password has at least 10 characters"),
            ("admin aaaaaaaaaaaa", "it repeats or counts"),
            ("admin 1234567890", "it repeats or counts"),
            ("admin Password2026!", "tried first"),
            ("alice@example.org Alice-2026!", "tried first"),
            ("admin a\u{7}b", "printable"),
        ] {
            let error = Passwords::parse(list).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{error}");
        }
    }
}
