//! Codes of a second factor: TOTP (RFC 6238) with SHA-1, six digits and 30 seconds, which is what every app can do.
//!
//! The mail server checks codes at sign-in. We check one at enrolment, remember which were used, and keep the secret sealed under each
//! recovery code: it opens only with one of them.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::store::now;
use crate::database::{Database, DatabaseError, Step};
use crate::form::escaped;
use crate::problem::Problem;
use crate::random::{self, NoRandomness};
use crate::seal;

/// Used codes and recovery codes.
pub(crate) const STEP: Step = Step {
    name: "codes",
    sql: "CREATE TABLE used_codes (id BLOB PRIMARY KEY, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
          CREATE TABLE recovery_codes (id BLOB PRIMARY KEY, account TEXT NOT NULL, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
          CREATE TABLE second_factors (account TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
          CREATE INDEX recovery_codes_account ON recovery_codes (account);",
};

/// Seconds that one code holds.
const PERIOD: i64 = 30;
/// A code is accepted from one period before to one after its own; after this time it is worth nothing.
const LIFE: i64 = 4 * PERIOD;
/// How many recovery codes there are.
const RECOVERY: usize = 8;
/// Letters and digits that are hard to mix up. 32 of them, so that a byte maps to one without bias.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What app and server share: 160 bits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 20]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        random::bytes().map(Self)
    }

    /// To keep it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was kept.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As people type it into an app.
    pub(crate) fn base32(&self) -> String {
        // 160 bits are 32 groups of five: nothing is left over.
        let groups = (0..32).map(|group| {
            let bit = group * 5;
            let pair =
                [bit / 8, bit / 8 + 1].map(|at| u16::from(self.0.get(at).copied().unwrap_or(0)));
            let value = (pair[0] << 8 | pair[1]) >> (11 - bit % 8) & 31;
            char::from(BASE32[usize::from(value)])
        });
        groups.collect()
    }

    /// The address that an app reads from the picture, and that the mail server keeps
    /// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>).
    pub(crate) fn url(&self, host: &str, account: &str) -> String {
        let (secret, host, account) = (self.base32(), escaped(host), escaped(account));
        format!("otpauth://totp/{host}:{account}?secret={secret}&issuer={host}")
    }

    /// The code of the period with this number.
    fn code(&self, period: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &period.to_be_bytes());
        let bytes = tag.as_ref();
        let start = usize::from(bytes.last().copied().unwrap_or(0) & 15);
        let value = bytes
            .iter()
            .skip(start)
            .take(4)
            .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        format!("{:06}", (value & 0x7fff_ffff) % 1_000_000)
    }

    /// The code of this moment.
    pub(crate) fn current(&self) -> String {
        self.code(now() / PERIOD)
    }

    /// Whether `code` is the present one, or one beside it.
    pub(crate) fn accepts(&self, code: &str) -> bool {
        let period = now() / PERIOD;
        (period - 1..=period + 1).any(|period| self.code(period) == code)
    }
}

/// Digits alone, as people type them: `123 456`.
pub(crate) fn digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// Takes `code` for `account`; false when it was used before.
pub(crate) async fn take(
    database: &Database,
    account: &str,
    code: &str,
) -> Result<bool, DatabaseError> {
    let id = seal::derive("used code", format!("{account} {code}").as_bytes());
    let write = move |connection: &mut Connection| {
        let now = now();
        connection.execute("DELETE FROM used_codes WHERE used < ?1", [now - LIFE])?;
        let insert = "INSERT OR IGNORE INTO used_codes VALUES (?1, ?2)";
        connection.execute(insert, params![id, now]).map(|rows| rows == 1)
    };
    database.call(write).await
}

fn recovery_id(account: &str, code: &str) -> [u8; 32] {
    seal::derive("recovery id", format!("{account} {code}").as_bytes())
}

fn recovery_key(code: &str) -> [u8; 32] {
    seal::derive("recovery key", code.as_bytes())
}

/// Makes recovery codes of 100 bits for `secret`; older ones of the account are worth nothing then.
pub(crate) async fn make_recovery(
    database: &Database,
    account: &str,
    secret: &Secret,
) -> Result<Vec<String>, Problem> {
    let (mut codes, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..RECOVERY {
        let letters =
            random::bytes::<20>()?.map(|byte| char::from(LETTERS[usize::from(byte) % 32]));
        let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
        let code = groups.join("-");
        let sealed = seal::seal(&recovery_key(&code), account, &secret.0)?;
        rows.push((recovery_id(account, &code), sealed));
        codes.push(code);
    }
    let account = account.to_owned();
    let write = move |connection: &mut Connection| {
        let change = connection.transaction()?;
        change.execute("INSERT OR IGNORE INTO second_factors VALUES (?1)", [&account])?;
        change.execute("DELETE FROM recovery_codes WHERE account = ?1", [&account])?;
        for (id, sealed) in rows {
            change.execute(
                "INSERT INTO recovery_codes VALUES (?1, ?2, ?3)",
                params![id, account, sealed],
            )?;
        }
        change.commit()
    };
    database.call(write).await?;
    Ok(codes)
}

/// Whether `account` was given a second factor here. The server's API answers a missing code as it answers a wrong password, so
/// the sign-in page has to know.
pub(crate) async fn is_asked(database: &Database, account: &str) -> Result<bool, DatabaseError> {
    let account = account.to_owned();
    let read = move |connection: &mut Connection| {
        let select = "SELECT EXISTS (SELECT 1 FROM second_factors WHERE account = ?1)";
        connection.query_row(select, [account], |row| row.get(0))
    };
    database.call(read).await
}

/// The code at the end of `password$123456`, which is how the server itself takes both in one field.
pub(crate) fn at_end(password: &str) -> Option<&str> {
    let (_, code) = password.rsplit_once('$')?;
    digits(code).filter(|digits| digits == code).map(|_| code)
}

/// Removes all recovery codes of `account`, and that it has a second factor.
pub(crate) async fn forget_recovery(
    database: &Database,
    account: &str,
) -> Result<(), DatabaseError> {
    let account = account.to_owned();
    let delete = move |connection: &mut Connection| {
        connection.execute("DELETE FROM second_factors WHERE account = ?1", [&account])?;
        connection.execute("DELETE FROM recovery_codes WHERE account = ?1", [&account])
    };
    database.call(delete).await.map(|_| ())
}

/// How many recovery codes are left.
pub(crate) async fn recovery_left(
    database: &Database,
    account: &str,
) -> Result<u64, DatabaseError> {
    let account = account.to_owned();
    let read = move |connection: &mut Connection| {
        let select = "SELECT count(*) FROM recovery_codes WHERE account = ?1";
        connection.query_row(select, [account], |row| row.get::<_, i64>(0))
    };
    Ok(u64::try_from(database.call(read).await?).unwrap_or(0))
}

/// What a recovery code opens. It is worth nothing once [`spend_recovery`] was called.
pub(crate) async fn open_recovery(
    database: &Database,
    account: &str,
    typed: &str,
) -> Result<Option<Secret>, DatabaseError> {
    let code = typed.trim().to_ascii_lowercase();
    let id = recovery_id(account, &code);
    let read = move |connection: &mut Connection| {
        let select = "SELECT sealed FROM recovery_codes WHERE id = ?1";
        connection.query_row(select, [id], |row| row.get::<_, Vec<u8>>(0)).optional()
    };
    let Some(sealed) = database.call(read).await? else { return Ok(None) };
    let plain = seal::open(&recovery_key(&code), account, &sealed);
    Ok(plain.and_then(|plain| Secret::from_bytes(&plain)))
}

/// Spends a recovery code; false when it is gone already.
pub(crate) async fn spend_recovery(
    database: &Database,
    account: &str,
    typed: &str,
) -> Result<bool, DatabaseError> {
    let id = recovery_id(account, &typed.trim().to_ascii_lowercase());
    let delete = move |connection: &mut Connection| {
        connection.execute("DELETE FROM recovery_codes WHERE id = ?1", [id]).map(|rows| rows == 1)
    };
    database.call(delete).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_s_own_codes() {
        let secret = Secret(*b"12345678901234567890");
        // RFC 6238, appendix B: the last six of eight digits.
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")]
        {
            assert_eq!(secret.code(seconds / PERIOD), code, "{seconds}");
        }
        assert_eq!(secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(
            secret.accepts(&secret.current()) && !secret.accepts("") && !secret.accepts("abcdef")
        );
        assert_eq!(
            secret.url("mail.example.org", "a@b.example"),
            "otpauth://totp/mail.example.org:a%40b.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=mail.example.org"
        );
        assert_eq!(digits(" 123 456"), Some("123456".to_owned()));
        for bad in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn codes_work_once() {
        let database = Database::in_memory();
        assert!(take(&database, "a@b", "123456").await.unwrap());
        assert!(!take(&database, "a@b", "123456").await.unwrap(), "replayed");
        assert!(take(&database, "c@b", "123456").await.unwrap(), "another account");
    }

    #[tokio::test]
    async fn recovery_codes_open_the_secret_once() {
        let database = Database::in_memory();
        let secret = Secret::generate().unwrap();
        let codes = make_recovery(&database, "a@b", &secret).await.unwrap();
        assert_eq!((codes.len(), codes[0].len()), (RECOVERY, 23));
        assert!(
            is_asked(&database, "a@b").await.unwrap() && !is_asked(&database, "c@b").await.unwrap()
        );
        let typed = format!(" {} ", codes[0].to_uppercase());
        assert_eq!(open_recovery(&database, "a@b", &typed).await.unwrap(), Some(secret.clone()));
        assert_eq!(open_recovery(&database, "c@b", &typed).await.unwrap(), None, "another account");
        assert!(spend_recovery(&database, "a@b", &typed).await.unwrap());
        assert!(!spend_recovery(&database, "a@b", &typed).await.unwrap());
        assert_eq!(open_recovery(&database, "a@b", &typed).await.unwrap(), None);
        assert_eq!(recovery_left(&database, "a@b").await.unwrap(), 7);
        make_recovery(&database, "a@b", &secret).await.unwrap();
        assert_eq!(open_recovery(&database, "a@b", &codes[1]).await.unwrap(), None, "older codes");
        forget_recovery(&database, "a@b").await.unwrap();
        assert_eq!(recovery_left(&database, "a@b").await.unwrap(), 0);
        assert!(!is_asked(&database, "a@b").await.unwrap());
        assert_eq!(
            (at_end("pass$123456"), at_end("pass$12345"), at_end("123456")),
            (Some("123456"), None, None)
        );
    }
}
