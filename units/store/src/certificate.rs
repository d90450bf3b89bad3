//! What a certificate says about itself.
//!
//! In: PEM. Out: names, dates, key and issuer. Nothing is verified here: what lies on our disk was
//! put there by us or by the administrator.

use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectAltName};

/// Organisation in the subject of certificates that the appliance signs itself.
pub const SELF_SIGNED: &str = "Mailkiln self-signed";

const DAY: i64 = 24 * 60 * 60;

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Signed by this appliance itself, until an authority gives it a better one.
    pub ours: bool,
    /// DNS names in the subject's alternative names.
    pub names: Vec<String>,
    /// Seconds since 1970 from which on it is valid.
    pub not_before: i64,
    /// Seconds since 1970 up to which it is valid.
    pub not_after: i64,
    /// Distinguished name of who signed it.
    pub issuer: String,
    /// The bits of its public key (RFC 5280 section 4.1.2.7, `subjectPublicKey`).
    pub public_key: Vec<u8>,
    /// DER of its public key with the algorithm: what a TLSA record `3 1 1` is the digest of.
    pub public_key_info: Vec<u8>,
    /// DER of the authority's key identifier and of the serial number, which together name the
    /// certificate (RFC 9773 section 4.1).
    pub identifier: Option<(Vec<u8>, Vec<u8>)>,
    /// DER of the whole certificate.
    pub der: Vec<u8>,
}

impl Facts {
    /// Reads the first certificate of a PEM chain; `None` when there is none that can be read.
    pub fn parse(chain: &str) -> Option<Self> {
        let pem = pem::parse_many(chain).ok()?.into_iter().find(|p| p.tag() == "CERTIFICATE")?;
        let whole = Certificate::from_der(pem.contents()).ok()?;
        // Re-encoding proves that nothing follows it.
        let der = whole.to_der().ok()?;
        let certificate = whole.tbs_certificate;
        let subject = certificate.subject.to_string();
        let ours = certificate.subject == certificate.issuer
            && subject.contains(&format!("O={SELF_SIGNED}"));
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0,
            _ => Vec::new(),
        };
        let key_identifier = match certificate.get::<AuthorityKeyIdentifier>() {
            Ok(Some((_, authority))) => authority.key_identifier,
            _ => None,
        };
        let serial = certificate.serial_number.as_bytes().to_vec();
        let key = &certificate.subject_public_key_info;
        Some(Self {
            ours,
            names: names.iter().filter_map(dns_name).collect(),
            not_before: seconds(certificate.validity.not_before)?,
            not_after: seconds(certificate.validity.not_after)?,
            issuer: certificate.issuer.to_string(),
            public_key: key.subject_public_key.raw_bytes().to_vec(),
            public_key_info: key.to_der().ok()?,
            identifier: key_identifier.map(|key| (key.as_bytes().to_vec(), serial)),
            der,
        })
    }

    /// Whole days until it expires, `now` being seconds since 1970; negative when it has.
    pub fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(DAY)
    }
}

/// DER of the first certificate of a PEM chain: what a server that uses it presents first.
pub fn first_der(chain: &str) -> Option<Vec<u8>> {
    Facts::parse(chain).map(|facts| facts.der)
}

fn seconds(time: x509_cert::time::Time) -> Option<i64> {
    i64::try_from(time.to_unix_duration().as_secs()).ok()
}

fn dns_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}
