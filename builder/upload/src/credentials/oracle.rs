//! A key for Oracle Cloud: a profile of the OCI CLI's file.
//!
//! Source: "SDK and CLI Configuration File". Not read: session tokens and keys with a pass phrase.

use std::path::PathBuf;

use super::ini;
use crate::error::UploadError;
use crate::settings::{Settings, Surroundings};
use crate::sign::rsa::RsaKey;

/// Who we are.
#[derive(Debug)]
pub struct Identity {
    /// `TENANCY/USER/FINGERPRINT`.
    pub key_id: String,
    /// The key.
    pub key: RsaKey,
    /// The tenancy, which is its root compartment too.
    pub tenancy: String,
    /// The region of the profile.
    pub region: Option<String>,
}

/// Reads it.
///
/// # Errors
/// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
pub fn read(settings: &Settings) -> Result<Identity, UploadError> {
    let surroundings = &settings.surroundings;
    let path = match surroundings.variable("OCI_CLI_CONFIG_FILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => surroundings.home(".oci/config"),
    };
    let profile = settings.require("profile")?;
    let none = |tried: Vec<String>| UploadError::NoCredentials {
        destination: "oracle",
        tried,
        hint: "run `oci setup config`".to_owned(),
    };
    let Some(path) = path else { return Err(none(vec!["~/.oci/config".to_owned()])) };
    let Some(text) = Surroundings::read(&path)? else {
        return Err(none(vec![path.display().to_string()]));
    };
    let bad = |reason: String| UploadError::BadCredentials {
        from: format!("profile `{profile}` of {}", path.display()),
        reason,
        hint: "run `oci setup config`".to_owned(),
    };
    let sections = ini(&text);
    let section = sections.get(&profile).ok_or_else(|| bad("it is not there".to_owned()))?;
    let need = |key: &str| section.get(key).cloned().ok_or_else(|| bad(format!("it has no {key}")));
    let (tenancy, user, fingerprint) = (need("tenancy")?, need("user")?, need("fingerprint")?);
    let file = need("key_file")?;
    let file = match file.strip_prefix("~/") {
        Some(below) => surroundings.home(below).ok_or_else(|| bad("HOME is not set".to_owned()))?,
        None => PathBuf::from(file),
    };
    let pem = std::fs::read_to_string(&file).map_err(UploadError::file("read", &file))?;
    Ok(Identity {
        key_id: format!("{tenancy}/{user}/{fingerprint}"),
        key: RsaKey::parse(&pem).map_err(|why| bad(format!("{}: {why}", file.display())))?,
        tenancy,
        region: section.get("region").cloned(),
    })
}
