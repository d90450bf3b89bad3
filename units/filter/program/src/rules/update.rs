//! Rules from an address: fetched, their signature and age checked, compiled, and only then kept.
//!
//! In: `https://…/NAME.yar`, beside it `NAME.yar.sig`, and the key of `mail.toml`. Out:
//! `rules/downloaded.yar`, which the filter sees within seconds. The first line of the rules is
//! `// serial NUMBER`; a smaller number than that of the rules at hand is refused, so that nobody
//! can bring old rules back with their old signature.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::Folder;
use crate::configuration::RulesTable;
use crate::durable;

/// The file that is kept.
pub const FILE: &str = "downloaded.yar";
/// Most bytes of rules that are downloaded.
const MOST_BYTES: u64 = 8 << 20;
/// Bytes of an Ed25519 signature in base64, with a line break.
const MOST_SIGNATURE: u64 = 256;
const PATIENCE: Duration = Duration::from_secs(120);

/// Why there are no new rules. Those at hand stay.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The download failed.
    #[error("cannot fetch {url}: {why}; the rules at hand stay")]
    Fetch {
        /// From where.
        url: String,
        /// What the client says.
        why: String,
    },
    /// The key of `mail.toml` is none.
    #[error(
        "`rules_key` is not 32 bytes in base64; mail.toml needs the key of who signs the rules"
    )]
    Key,
    /// Signature and rules do not fit.
    #[error("the signature of {0} is wrong: the rules at hand stay. Ask who publishes them")]
    Signature(String),
    /// No `// serial NUMBER`.
    #[error("the first line of {0} is not `// serial NUMBER`; the rules at hand stay")]
    NoSerial(String),
    /// Older than what is there.
    #[error("{url} has serial {offered}, the rules at hand have {present}: they stay")]
    Old {
        /// From where.
        url: String,
        /// What it brought.
        offered: u64,
        /// What is there.
        present: u64,
    },
    /// They do not compile.
    #[error("the rules of {url} do not compile, those at hand stay: {why}")]
    Compile {
        /// From where.
        url: String,
        /// What the compiler says.
        why: String,
    },
    /// The file system refused.
    #[error("cannot keep {0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// There are new rules, with this serial number.
    New(u64),
    /// The rules at hand are those that are published.
    Same(u64),
}

/// Fetches the rules.
///
/// # Errors
/// [`UpdateError`]; the rules at hand are untouched then.
pub fn run(table: &RulesTable, folder: &Folder) -> Result<Updated, UpdateError> {
    let signature_url = format!("{}.sig", table.url);
    let rules = fetch(&table.url, MOST_BYTES)?;
    let signature = fetch(&signature_url, MOST_SIGNATURE)?;
    take(table, folder, &rules, &signature)
}

/// Checks what was fetched, and keeps it.
fn take(
    table: &RulesTable,
    folder: &Folder,
    rules: &[u8],
    signature: &[u8],
) -> Result<Updated, UpdateError> {
    let url = || table.url.clone();
    verify(table, rules, signature)?;
    let text = String::from_utf8_lossy(rules).into_owned();
    let offered = serial(&text).ok_or_else(|| UpdateError::NoSerial(url()))?;
    let path = folder.path().join(FILE);
    let present = fs::read_to_string(&path).ok().as_deref().and_then(serial);
    match present {
        Some(present) if present == offered => return Ok(Updated::Same(offered)),
        Some(present) if present > offered => {
            return Err(UpdateError::Old { url: url(), offered, present });
        }
        _ => {}
    }
    crate::worker::compile(&[(FILE.to_owned(), text)])
        .map_err(|why| UpdateError::Compile { url: url(), why })?;
    durable::replace(&path, rules).map_err(|error| UpdateError::File(path, error))?;
    Ok(Updated::New(offered))
}

fn verify(table: &RulesTable, rules: &[u8], signature: &[u8]) -> Result<(), UpdateError> {
    let key = STANDARD.decode(table.key.trim()).map_err(|_| UpdateError::Key)?;
    if key.len() != 32 {
        return Err(UpdateError::Key);
    }
    let wrong = || UpdateError::Signature(table.url.clone());
    let signature = STANDARD.decode(signature.trim_ascii()).map_err(|_| wrong())?;
    UnparsedPublicKey::new(&ED25519, key).verify(rules, &signature).map_err(|_| wrong())
}

fn serial(text: &str) -> Option<u64> {
    text.lines().next()?.strip_prefix("// serial ")?.trim().parse().ok()
}

fn fetch(url: &str, most: u64) -> Result<Vec<u8>, UpdateError> {
    let failed = |why: String| UpdateError::Fetch { url: url.to_owned(), why };
    let tls =
        ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(true)
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(failed(format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn signed(rules: &str) -> (RulesTable, Vec<u8>) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let table = RulesTable {
            url: "https://rules.example/a.yar".into(),
            key: STANDARD.encode(pair.public_key()),
        };
        (table, STANDARD.encode(pair.sign(rules.as_bytes())).into_bytes())
    }

    fn text(serial: u64) -> String {
        format!("// serial {serial}\nrule x {{ strings: $a = \"x1y2z3\" condition: $a }}\n")
    }

    #[test]
    fn only_signed_newer_rules_that_compile_are_kept() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::new(state.path());
        folder.prepare().unwrap();
        let offer = |rules: &str| {
            let (table, signature) = signed(rules);
            take(&table, &folder, rules.as_bytes(), &signature)
        };
        assert_eq!(offer(&text(5)).unwrap(), Updated::New(5));
        assert_eq!(offer(&text(5)).unwrap(), Updated::Same(5));
        assert!(matches!(offer(&text(4)), Err(UpdateError::Old { offered: 4, present: 5, .. })));
        assert!(matches!(offer("// serial 6\nrule {"), Err(UpdateError::Compile { .. })));
        assert!(matches!(offer("rule x { condition: true }"), Err(UpdateError::NoSerial(_))));
        let (table, signature) = signed(&text(7));
        let forged = take(&table, &folder, text(8).as_bytes(), &signature);
        assert!(matches!(forged, Err(UpdateError::Signature(_))));
        let other = RulesTable { key: STANDARD.encode([1; 31]), ..table };
        let unkeyed = take(&other, &folder, text(7).as_bytes(), &signature);
        assert!(matches!(unkeyed, Err(UpdateError::Key)));
        assert_eq!(folder.read().unwrap(), [(FILE.to_owned(), text(5))]);
    }

    #[test]
    fn a_plain_address_is_not_asked() {
        let error = fetch("http://127.0.0.1:1/a.yar", 10).unwrap_err().to_string();
        assert!(error.contains("the rules at hand stay"), "{error}");
    }
}
