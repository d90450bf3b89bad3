//! Proofs of control over names: what the authority looks for is put in its place, and taken away.
//!
//! In: tokens of an order's authorizations. Out: [`Presented`], while which the proofs can be seen.

pub mod company;
pub mod dns_01;
pub mod http_01;
pub mod tls_alpn_01;

use std::io;
use std::path::PathBuf;

use instant_acme::ChallengeType;
use mailkiln_store::durable::DurableError;

use crate::authority::AuthorityError;
use crate::layout::Layout;
use crate::settings::{Challenge, Company, Name};

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The name that is proved.
    pub name: Name,
    /// The authority's token.
    pub token: String,
    /// Token and thumbprint of the account's key (RFC 8555 section 8.1).
    pub key_authorization: String,
    /// Its SHA-256.
    pub digest: Vec<u8>,
    /// That in base64url: what goes into the DNS.
    pub dns_value: String,
}

/// Why proofs cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// A file for the web server.
    #[error(transparent)]
    Write(#[from] DurableError),
    /// A port.
    #[error("cannot listen on {0}: {1}; who does? `ss -ltnp`")]
    Listen(std::net::SocketAddr, #[source] io::Error),
    /// TLS.
    #[error("the certificate of the challenge could not be made: {0}")]
    Certificate(String),
    /// The secret of the name server.
    #[error(
        "the key to update the DNS is not there: `mailkiln-agent secret set acme-dns-key`, \
         then `mailkiln-acme renew`"
    )]
    NoKey,
    /// It makes no sense.
    #[error("the secret acme-dns-key is not base64; store the `secret` of the TSIG key")]
    Key,
    /// No zone holds the name.
    #[error("{0} is in none of the zones of `acme.dns_zones`; add its zone to mail.toml")]
    NoZone(Name),
    /// The name server.
    #[error("the name server {server} did not take {name}: {reason}")]
    Update {
        /// Where it is.
        server: std::net::SocketAddr,
        /// The record.
        name: String,
        /// What it said.
        reason: String,
    },
    /// There is nothing to trust a company's server by.
    #[error(transparent)]
    Roots(#[from] AuthorityError),
    /// The secret is not of the company's shape.
    #[error(
        "the secret acme-dns-key is not what {0} asks for: store its {parts}, with blanks between",
        parts = .0.secret().join(", ")
    )]
    CompanySecret(Company),
    /// The company.
    #[error("{company} did not take {name}: {reason}")]
    Company {
        /// Which.
        company: Company,
        /// The record.
        name: String,
        /// What it said.
        reason: String,
    },
    /// The hook.
    #[error("{program} {step} {name} failed: {reason}")]
    Hook {
        /// The program.
        program: PathBuf,
        /// `present` or `remove`.
        step: &'static str,
        /// The record.
        name: String,
        /// Status, and the last line that it wrote to standard error.
        reason: String,
    },
}

/// Proofs that can be seen by the authority, until they are withdrawn.
#[derive(Debug)]
pub enum Presented {
    /// Over HTTP.
    Http(http_01::Responder),
    /// Over TLS.
    Tls(tls_alpn_01::Responder),
    /// In the DNS.
    Dns(dns_01::Records),
}

/// The type of challenge that is asked for.
pub fn kind(challenge: &Challenge) -> ChallengeType {
    match challenge {
        Challenge::Http01 { .. } => ChallengeType::Http01,
        Challenge::TlsAlpn01 { .. } => ChallengeType::TlsAlpn01,
        Challenge::Dns01 { .. } => ChallengeType::Dns01,
    }
}

/// Shows `proofs`.
///
/// # Errors
/// [`ChallengeError`]; what was shown until then is withdrawn.
pub async fn present(
    challenge: &Challenge,
    layout: &Layout,
    proofs: &[Proof],
) -> Result<Presented, ChallengeError> {
    Ok(match challenge {
        Challenge::Http01 { listen, served } => {
            let answers = proofs.iter().map(|it| (it.token.clone(), it.key_authorization.clone()));
            Presented::Http(
                http_01::Responder::start((!served).then_some(*listen), layout, answers.collect())
                    .await?,
            )
        }
        Challenge::TlsAlpn01 { listen } => {
            Presented::Tls(tls_alpn_01::Responder::start(*listen, proofs).await?)
        }
        Challenge::Dns01 { provider, wait } => {
            Presented::Dns(dns_01::Records::publish(provider, *wait, proofs).await?)
        }
    })
}

impl Presented {
    /// Takes everything away again. What stays does no harm; it is said in the journal.
    pub async fn withdraw(self) {
        match self {
            Self::Http(responder) => responder.stop().await,
            Self::Tls(responder) => responder.stop(),
            Self::Dns(records) => records.remove().await,
        }
    }
}
