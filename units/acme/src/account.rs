//! The account with the authority (RFC 8555 section 7.3).
//!
//! Its key is that of the seed where one brought it, else one that is made here. It is kept before
//! the authority hears of it, but where the authority binds it to another account (EAB): there the
//! library makes the key, and a power cut between the two costs a second account.

use std::fs;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use instant_acme::{Account, ExternalAccountKey, Key, NewAccount};
use mailkiln_store::durable::{self, DurableError};
use mailkiln_store::journal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::authority::{Authority, AuthorityError, Patience};
use crate::layout::Layout;
use crate::settings::Settings;

/// Names of credentials.
const SEED_KEY: &str = "acme-account-key";
const EAB_KEY: &str = "acme-eab-key";

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The connection.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The authority refused, or did not answer.
    #[error("no account with the authority: {0}")]
    Refused(#[from] instant_acme::Error),
    /// The secret of the external account is not there.
    #[error(
        "`acme.eab_key_id` is set, but the key to it is not there: \
         `mailkiln-agent secret set acme-eab-key`, then `mailkiln-acme renew`"
    )]
    NoBindingKey,
    /// It makes no sense.
    #[error("the secret acme-eab-key is not base64; store it again as the authority shows it")]
    BindingKey,
    /// The seed's key makes no sense.
    #[error("the seed's key of the ACME account is not a P-256 key in PKCS#8")]
    SeedKey,
    /// The kept account cannot be read.
    #[error("cannot read {0}: {1}; run this as root or as the user mailkiln-acme")]
    Read(std::path::PathBuf, #[source] io::Error),
    /// It could not be kept.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// What is kept of an account.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The authority's directory.
    directory: String,
    /// PKCS#8 DER of the key, base64.
    key: String,
    /// What the authority calls the account, once it knows it.
    url: Option<String>,
}

/// Opens the account of this appliance, or makes one.
///
/// # Errors
/// [`AccountError`].
pub async fn open(
    layout: &Layout,
    settings: &Settings,
    patience: &Patience,
) -> Result<Account, AccountError> {
    let authority = || Authority::new(settings.roots.as_deref(), patience.clone());
    let directory = &settings.directory;
    let kept = read(layout)?.filter(|kept| kept.directory == *directory);
    if let Some((key, url)) = kept.as_ref().and_then(|kept| Some((der(kept)?, kept.url.clone()?))) {
        let builder = Account::builder_with_http(Box::new(authority()?));
        return Ok(builder.from_parts(url, key, directory.clone()).await?);
    }
    let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
    let builder = Account::builder_with_http(Box::new(authority()?));
    let (account, credentials) = match &settings.eab_key_id {
        Some(id) => {
            let new = NewAccount {
                contact: &contact,
                terms_of_service_agreed: true,
                only_return_existing: false,
            };
            let binding = ExternalAccountKey::new(id.clone(), &binding_key()?);
            builder.create(&new, directory.clone(), Some(&binding)).await?
        }
        None => {
            let der = match (seed_key()?, kept.as_ref().and_then(der)) {
                (Some(seeded), _) => seeded,
                (None, Some(kept)) => kept,
                (None, None) => Key::generate_pkcs8()?.1,
            };
            keep(layout, directory, &der, None)?;
            let key = Key::from_pkcs8_der(der.clone_key())?;
            let made = builder.create_from_key((key, der.into()), directory.clone()).await?;
            if !contact.is_empty()
                && let Err(error) = made.0.update_contacts(&contact).await
            {
                // Let's Encrypt keeps none any more; nobody else needs one.
                journal::warn(&format!("the authority did not take the contact: {error}"));
            }
            made
        }
    };
    keep(layout, directory, credentials.private_key(), Some(account.id().to_owned()))?;
    journal::note(&format!("the account with the authority is {}", account.id()));
    Ok(account)
}

fn read(layout: &Layout) -> Result<Option<Kept>, AccountError> {
    match fs::read(layout.account()) {
        // What a power cut or a hand has damaged is made again: an account costs nothing.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AccountError::Read(layout.account(), error)),
    }
}

/// Whether the authority no longer knows the account, as after it was restored from a backup.
pub fn is_forgotten(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// Has the account made again, with the same key, the next time that it is opened.
///
/// # Errors
/// [`AccountError`].
pub fn forget(layout: &Layout) -> Result<(), AccountError> {
    if let Some(kept) = read(layout)?
        && let Some(der) = der(&kept)
    {
        keep(layout, &kept.directory, &der, None)?;
    }
    Ok(())
}

fn der(kept: &Kept) -> Option<PrivatePkcs8KeyDer<'static>> {
    Some(URL_SAFE_NO_PAD.decode(&kept.key).ok()?.into())
}

fn keep(
    layout: &Layout,
    directory: &str,
    key: &PrivatePkcs8KeyDer<'_>,
    url: Option<String>,
) -> Result<(), DurableError> {
    let key = URL_SAFE_NO_PAD.encode(key.secret_pkcs8_der());
    let kept = Kept { directory: directory.to_owned(), key, url };
    let text = serde_json::to_string(&kept).unwrap_or_default();
    durable::write(&layout.account(), text.as_bytes(), 0o600, None)
}

/// Authorities show it in base64url, some in base64, with and without padding.
fn binding_key() -> Result<Vec<u8>, AccountError> {
    let text = Layout::credential(EAB_KEY).ok_or(AccountError::NoBindingKey)?;
    let text = text.trim().trim_end_matches('=');
    URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .map_err(|_| AccountError::BindingKey)
}

fn seed_key() -> Result<Option<PrivatePkcs8KeyDer<'static>>, AccountError> {
    let Some(pem) = Layout::credential(SEED_KEY) else { return Ok(None) };
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) => Ok(Some(der)),
        _ => Err(AccountError::SeedKey),
    }
}
