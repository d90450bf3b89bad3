//! The certificate of the host: a self-signed one until a real one is there.
//!
//! In: the names it is for, the time, and what lies in `/var/lib/mailkiln-acme/live/HOST`. Out: whether that can
//! stay, or a new pair of PEM texts. A certificate that we did not make is never judged or touched.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use time::OffsetDateTime;

use crate::appliance::DomainName;

pub use mailkiln_store::certificate::{Facts, SELF_SIGNED, first_der};
use mailkiln_store::certificate_folder::Pair;

/// Apple's clients refuse more than 825 days.
const LIFETIME: Duration = Duration::from_secs(800 * DAY);
/// Clocks of clients, and ours before the first answer of a time server, are not exact.
const SLACK: Duration = Duration::from_secs(2 * DAY);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the self-signed certificate could not be made: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A certificate that the appliance signs itself.
#[derive(Debug)]
pub struct SelfSigned;

impl SelfSigned {
    /// Makes one for `names` (the first is the common name) that is valid from two days before
    /// `now` on.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn generate(names: &[DomainName], now: OffsetDateTime) -> Result<Pair, CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, SELF_SIGNED);
        if let Some(host) = names.first() {
            params.distinguished_name.push(DnType::CommonName, host.as_str());
        }
        params.not_before = now - SLACK;
        params.not_after = now + LIFETIME;
        let certificate = params.self_signed(&key)?;
        // LF, not CRLF: these are files of a Unix system.
        let text = |pem: String| pem.replace('\r', "");
        Ok(Pair { chain: text(certificate.pem()), key: text(key.serialize_pem()) })
    }
}

/// What is to be done about the files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody else's certificate: leave it alone.
    Foreign,
    /// Ours, and good.
    Keep,
    /// Ours, but no longer good, or nothing usable at all.
    Replace(&'static str),
}

/// Judges the texts of `fullchain.pem` and `key.pem` (`None` when missing).
pub fn judge(
    chain: Option<&str>,
    key: Option<&str>,
    names: &[DomainName],
    now: OffsetDateTime,
) -> Verdict {
    let Some(chain) = chain.filter(|text| !text.trim().is_empty()) else {
        return Verdict::Replace("there is none yet");
    };
    let Some(facts) = Facts::parse(chain) else { return Verdict::Foreign };
    if !facts.ours {
        return Verdict::Foreign;
    }
    // The power may have gone between the two files, or before the content reached the medium.
    let pair = key.and_then(|key| KeyPair::from_pem(key).ok());
    if pair.is_none_or(|pair| pair.public_key_raw() != facts.public_key) {
        return Verdict::Replace("its key does not belong to it");
    }
    let wanted: Vec<_> = names.iter().map(ToString::to_string).collect();
    if facts.names != wanted {
        return Verdict::Replace("the names have changed");
    }
    let now = now.unix_timestamp();
    let renew = facts.not_after.saturating_sub(seconds(RENEW_BEFORE));
    if now < facts.not_before || now >= renew {
        return Verdict::Replace("it expires soon");
    }
    Verdict::Keep
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<DomainName> {
        names.iter().map(|name| DomainName::try_from((*name).to_owned()).unwrap()).collect()
    }

    fn at(days: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000 + days * 86_400).unwrap()
    }

    #[test]
    fn our_own_is_kept_until_it_ages() {
        let names = names(&["mail.example.org", "example.org"]);
        let made = SelfSigned::generate(&names, at(0)).unwrap();
        let judge_at = |days| judge(Some(&made.chain), Some(&made.key), &names, at(days));
        assert_eq!(judge_at(0), Verdict::Keep);
        assert_eq!(judge_at(-1), Verdict::Keep);
        assert_eq!(judge_at(769), Verdict::Keep);
        assert_eq!(judge_at(771), Verdict::Replace("it expires soon"));
        assert_eq!(judge_at(-3), Verdict::Replace("it expires soon"));
        let facts = Facts::parse(&made.chain).unwrap();
        assert_eq!((facts.ours, facts.days_left(at(0).unix_timestamp())), (true, 800));
        assert_eq!(facts.names, ["mail.example.org", "example.org"]);
    }

    #[test]
    fn half_made_pairs_are_replaced() {
        let names = names(&["mail.example.org"]);
        let one = SelfSigned::generate(&names, at(0)).unwrap();
        let two = SelfSigned::generate(&names, at(0)).unwrap();
        let replaced = |chain, key| matches!(judge(chain, key, &names, at(0)), Verdict::Replace(_));
        assert!(replaced(None, None));
        assert!(replaced(Some(""), Some(&one.key)));
        assert!(replaced(Some(&one.chain), None));
        assert!(replaced(Some(&one.chain), Some("")));
        assert!(replaced(Some(&one.chain), Some(&two.key)));
    }

    #[test]
    fn other_names_make_a_new_one() {
        let made = SelfSigned::generate(&names(&["a.org"]), at(0)).unwrap();
        let verdict = judge(Some(&made.chain), Some(&made.key), &names(&["b.org"]), at(0));
        assert_eq!(verdict, Verdict::Replace("the names have changed"));
    }

    #[test]
    fn foreign_certificates_stay_whatever_they_are() {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
        let real = params.self_signed(&key).unwrap().pem();
        for chain in [real.as_str(), "something that cannot be read"] {
            let verdict = judge(Some(chain), None, &names(&["mail.example.org"]), at(90_000));
            assert_eq!(verdict, Verdict::Foreign);
        }
    }
}
