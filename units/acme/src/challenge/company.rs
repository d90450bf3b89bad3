//! Proofs in the DNS through the interface of a company that hosts the zone.
//!
//! In: which company, the secret as it was stored, one record. Out: that record in the zone, or gone
//! from it. The crate `dns-update-lite` knows the interfaces; it trusts the system's roots.

use std::str::FromStr as _;
use std::time::Duration;

use dns_update_lite::providers::ovh::OvhEndpoint;
use dns_update_lite::providers::route53::Route53Config;
use dns_update_lite::{DnsRecord, DnsRecordType, DnsUpdater, Error};

use super::ChallengeError;
use super::dns_01::Step;
use crate::authority;
use crate::settings::{Company, Name};

/// How long resolvers keep the record, in seconds. Some companies take no less.
const TTL: u32 = 600;
/// For one request.
const TIME: Duration = Duration::from_secs(30);

impl Company {
    /// What the secret consists of, in this order and with blanks or line ends between.
    pub fn secret(self) -> &'static [&'static str] {
        match self {
            Self::Bunny => &["API key"],
            Self::Cloudflare | Self::Desec | Self::DigitalOcean => &["API token"],
            Self::Dnsimple => &["API token", "account number"],
            Self::Ovh => &["endpoint", "application key", "application secret", "consumer key"],
            Self::Porkbun => &["API key", "secret API key"],
            Self::Route53 => &["access key id", "secret access key"],
            Self::Spaceship => &["API key", "API secret"],
        }
    }

    /// What speaks to the company, or nothing where `secret` does not consist of what it needs.
    fn updater(self, secret: &str) -> Option<Result<DnsUpdater, Error>> {
        let time = Some(TIME);
        let words: Vec<&str> = secret.split_whitespace().collect();
        Some(match (self, words.as_slice()) {
            (Self::Bunny, [key]) => DnsUpdater::new_bunny(key, time),
            (Self::Cloudflare, [token]) => DnsUpdater::new_cloudflare(token, time),
            (Self::Desec, [token]) => DnsUpdater::new_desec(token, time),
            (Self::DigitalOcean, [token]) => DnsUpdater::new_digitalocean(token, time),
            (Self::Dnsimple, [token, account]) => DnsUpdater::new_dnsimple(token, account, time),
            (Self::Ovh, [endpoint, application, secret, consumer]) => {
                OvhEndpoint::from_str(endpoint).and_then(|place| {
                    DnsUpdater::new_ovh(application, secret, consumer, place, time)
                })
            }
            (Self::Porkbun, [key, secret]) => DnsUpdater::new_porkbun(key, secret, time),
            (Self::Route53, [id, secret]) => DnsUpdater::new_route53(Route53Config {
                access_key_id: (*id).to_owned(),
                secret_access_key: (*secret).to_owned(),
                session_token: None,
                region: None,
                hosted_zone_id: None,
                private_zone_only: Some(false),
                endpoint: None,
            }),
            (Self::Spaceship, [key, secret]) => DnsUpdater::new_spaceship(key, secret, time),
            _ => return None,
        })
    }
}

/// Puts the TXT record `value` at `name` in `zone` beside those that are there, or removes it alone.
///
/// # Errors
/// [`ChallengeError::CompanySecret`] when the secret does not consist of what the company asks for,
/// [`ChallengeError::Roots`] when there is no root to trust, [`ChallengeError::Company`] with what the
/// company said.
pub(super) async fn change(
    company: Company,
    secret: &str,
    zone: &Name,
    name: &str,
    value: &str,
    step: Step,
) -> Result<(), ChallengeError> {
    // Without this, the crate would panic.
    authority::system_roots()?;
    let failed = |error: Error| ChallengeError::Company {
        company,
        name: name.to_owned(),
        reason: error.to_string().chars().take(300).collect(),
    };
    let updater = company.updater(secret).ok_or(ChallengeError::CompanySecret(company))?;
    let updater = updater.map_err(failed)?;
    let records = vec![DnsRecord::TXT(value.to_owned())];
    let zone = zone.as_str();
    let done = match step {
        Step::Present => updater.add_to_rrset(name, DnsRecordType::TXT, TTL, records, zone).await,
        Step::Remove => updater.remove_from_rrset(name, DnsRecordType::TXT, records, zone).await,
    };
    done.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_as_many_words_as_the_company_asks_for() {
        for company in Company::ALL {
            let count = company.secret().len();
            let words = |count| [&["ovh-eu"][..], &["x"; 5]].concat()[..count].join("\n");
            assert!(company.updater(&words(count)).unwrap().is_ok(), "{company}");
            assert!(company.updater(&words(count + 1)).is_none(), "{company}");
            assert!(company.updater(&words(count - 1)).is_none(), "{company}");
        }
    }
}
