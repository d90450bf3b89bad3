//! One order, from its first request to the certificate (RFC 8555 section 7.4).
//!
//! In: an account, names, a key. Out: a chain that fits the key. The order's URL is kept before
//! anything else is done with it, so that after a power cut the same order goes on: nothing is ordered
//! twice, and a certificate that was given is fetched.

use std::collections::BTreeMap;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Identifier, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use mailkiln_store::certificate::Facts;
use mailkiln_store::certificate_folder::Pair;
use mailkiln_store::durable::DurableError;
use mailkiln_store::journal;

use crate::account::AccountError;
use crate::authority::explained;
use crate::challenge::{self, ChallengeError, Proof};
use crate::clock::Seconds;
use crate::key::{Key, KeyError};
use crate::layout::Layout;
use crate::settings::{Name, Settings, SettingsError};
use crate::state::{PendingOrder, State};

/// How long validation, and after it issuance, may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The authority could not validate names; each with its reason.
    #[error("the authority could not validate {}", listed(.0))]
    Refused(BTreeMap<String, String>),
    /// The authority refused something else, or did not answer.
    #[error("the authority: {}", explained(.0))]
    Authority(#[from] instant_acme::Error),
    /// It does not offer the kind of challenge.
    #[error("the authority does not offer this challenge for {0}; choose another in mail.toml")]
    NotOffered(String),
    /// The proofs cannot be shown.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What came is no certificate for us.
    #[error("the authority gave a certificate that {0}; nothing was changed")]
    Unusable(&'static str),
    /// A name that the authority made up.
    #[error(transparent)]
    Name(#[from] SettingsError),
    /// It wants to be left alone, or a limit of our own says so; for how many seconds.
    #[error("{0} (a limit)")]
    Limit(String, Seconds),
    /// The state could not be kept: nothing further is asked of the authority then.
    #[error(transparent)]
    Write(#[from] DurableError),
}

fn listed(names: &BTreeMap<String, String>) -> String {
    names.iter().map(|(name, why)| format!("{name} ({why})")).collect::<Vec<_>>().join(", ")
}

/// What an order needs.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What is wanted, and how it is proved.
    pub settings: &'a Settings,
    /// Where things are.
    pub layout: &'a Layout,
    /// Names, sorted.
    pub names: &'a [String],
    /// The certificate's key.
    pub key: &'a Key,
    /// The certificate that this one replaces (RFC 9773 section 5).
    pub replaces: Option<&'a Facts>,
    /// The time.
    pub now: Seconds,
}

/// Obtains a certificate, or goes on with the order that an earlier run has left in `state`.
///
/// # Errors
/// [`OrderError`]; `state` then says whether the order can go on.
pub async fn obtain(
    account: &Account,
    wanted: &Wanted<'_>,
    state: &mut State,
) -> Result<Pair, OrderError> {
    let mut order = match resumed(account, wanted, state).await? {
        Some(order) => order,
        None => made(account, wanted, state).await?,
    };
    let chain = finished(&mut order, wanted).await;
    if let Err(OrderError::Refused(_) | OrderError::Unusable(_)) = &chain {
        // Nothing will come of this one any more.
        state.order = None;
        state.write(&wanted.layout.state())?;
    }
    let chain = chain?;
    examined(&chain, wanted)?;
    Ok(Pair { chain, key: wanted.key.pem().to_owned() })
}

/// The order that was under way, if it still is one.
async fn resumed(
    account: &Account,
    wanted: &Wanted<'_>,
    state: &mut State,
) -> Result<Option<Order>, OrderError> {
    let Some(pending) = state.order.take_if(|pending| pending.names == wanted.names) else {
        return Ok(None);
    };
    match account.order(pending.url.clone()).await {
        Ok(mut order) => {
            if order.state().status == OrderStatus::Invalid {
                return Ok(None);
            }
            journal::note(&format!("going on with the order {}", pending.url));
            state.order = Some(pending);
            Ok(Some(order))
        }
        // Expired, or forgotten.
        Err(instant_acme::Error::Api(_)) => Ok(None),
        Err(error) => {
            state.order = Some(pending);
            Err(error.into())
        }
    }
}

/// A new order. That there is one counts for the limits even if the power goes now.
async fn made(
    account: &Account,
    wanted: &Wanted<'_>,
    state: &mut State,
) -> Result<Order, OrderError> {
    state.order = None;
    state.orders.push(wanted.now);
    state.write(&wanted.layout.state())?;
    let names: Vec<Identifier> = wanted.names.iter().cloned().map(Identifier::Dns).collect();
    let plain = || {
        let order = NewOrder::new(&names);
        match &wanted.settings.profile {
            Some(profile) => order.profile(profile),
            None => order,
        }
    };
    let replaced = wanted.replaces.and_then(identifier);
    let first = match replaced {
        Some(replaced) => account.new_order(&plain().replaces(replaced)).await.ok(),
        None => None,
    };
    // An authority that knows nothing of renewals, or of the old certificate, still gives a new one.
    let order = match first {
        Some(order) => order,
        None => account.new_order(&plain()).await.map_err(refused_names)?,
    };
    let pending = PendingOrder {
        url: order.url().to_owned(),
        names: wanted.names.to_vec(),
        made: wanted.now,
    };
    state.order = Some(pending);
    state.write(&wanted.layout.state())?;
    Ok(order)
}

/// How the authority calls a certificate.
pub(crate) fn identifier(facts: &Facts) -> Option<CertificateIdentifier<'_>> {
    let (key, serial) = facts.identifier.as_ref()?;
    Some(CertificateIdentifier::new(key.as_slice().into(), serial.as_slice().into()))
}

/// Some names may be refused before anything is validated.
fn refused_names(error: instant_acme::Error) -> OrderError {
    let instant_acme::Error::Api(problem) = &error else { return error.into() };
    let named = problem.subproblems.iter().filter_map(|sub| match &sub.identifier {
        Some(Identifier::Dns(name)) => {
            Some((name.clone(), sub.detail.clone().unwrap_or_else(|| problem.to_string())))
        }
        _ => None,
    });
    let named: BTreeMap<String, String> = named.collect();
    if named.is_empty() { error.into() } else { OrderError::Refused(named) }
}

async fn finished(order: &mut Order, wanted: &Wanted<'_>) -> Result<String, OrderError> {
    let policy = RetryPolicy::new().timeout(PATIENCE);
    if order.state().status == OrderStatus::Pending {
        validate(order, wanted, &policy).await?;
    }
    if order.state().status == OrderStatus::Ready {
        order.finalize_csr(&wanted.key.request(wanted.names)?).await?;
    }
    if order.state().status == OrderStatus::Invalid {
        return Err(OrderError::Unusable("it then withdrew"));
    }
    Ok(order.poll_certificate(&policy).await?)
}

async fn validate(
    order: &mut Order,
    wanted: &Wanted<'_>,
    policy: &RetryPolicy,
) -> Result<(), OrderError> {
    let settings = wanted.settings;
    let kind = challenge::kind(&settings.challenge);
    let mut proofs = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(challenge) = authorization.challenge(kind.clone()) else {
            return Err(OrderError::NotOffered(name));
        };
        let authorization = challenge.key_authorization();
        proofs.push(Proof {
            name: Name::try_from(name)?,
            token: challenge.token.clone(),
            key_authorization: authorization.as_str().to_owned(),
            digest: authorization.digest().as_ref().to_vec(),
            dns_value: authorization.dns_value(),
        });
    }
    let presented = challenge::present(&settings.challenge, wanted.layout, &proofs).await?;
    let outcome = validated(order, &proofs, policy, &kind).await;
    presented.withdraw().await;
    outcome
}

async fn validated(
    order: &mut Order,
    proofs: &[Proof],
    policy: &RetryPolicy,
    kind: &instant_acme::ChallengeType,
) -> Result<(), OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        if proofs.iter().any(|proof| proof.name.as_str() == name)
            && let Some(mut challenge) = authorization.challenge(kind.clone())
        {
            challenge.set_ready().await?;
        }
    }
    match order.poll_ready(policy).await {
        Ok(OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) => Ok(()),
        // Asking each name for its reason tells more than the order does.
        Ok(_) => Err(reasons(order).await?),
        Err(error @ instant_acme::Error::Api(_)) => match reasons(order).await? {
            OrderError::Refused(names) if names.is_empty() => Err(error.into()),
            refused => Err(refused),
        },
        Err(error) => Err(error.into()),
    }
}

/// Which names the authority could not validate, and what it says.
async fn reasons(order: &mut Order) -> Result<OrderError, OrderError> {
    let mut names = BTreeMap::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        authorization.refresh().await?;
        if authorization.status == AuthorizationStatus::Invalid {
            let said = authorization.challenges.iter().find_map(|it| it.error.as_ref());
            let reason = said.map_or_else(|| "no reason was given".to_owned(), detail);
            names.insert(authorization.identifier().to_string(), reason);
        }
    }
    Ok(OrderError::Refused(names))
}

fn detail(problem: &Problem) -> String {
    let text = problem.detail.clone().unwrap_or_else(|| problem.to_string());
    // It quotes what it was sent by whoever has the name now.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// Nothing is put in the place of a certificate that works but one that will.
fn examined(chain: &str, wanted: &Wanted<'_>) -> Result<(), OrderError> {
    let Some(facts) = Facts::parse(chain) else {
        return Err(OrderError::Unusable("cannot be read"));
    };
    if facts.public_key != wanted.key.public() {
        return Err(OrderError::Unusable("is for another key"));
    }
    if !wanted.names.iter().all(|name| facts.names.contains(name)) {
        return Err(OrderError::Unusable("lacks a name that was asked for"));
    }
    Ok(())
}
