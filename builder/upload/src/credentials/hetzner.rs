//! The token of a Hetzner Cloud project: `HCLOUD_TOKEN`, or a context of the hcloud CLI.

use toml::Value;

use crate::error::UploadError;
use crate::settings::{Settings, Surroundings};

/// Reads it.
///
/// # Errors
/// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
pub fn token(settings: &Settings) -> Result<String, UploadError> {
    let surroundings = &settings.surroundings;
    if let Some(token) = surroundings.variable("HCLOUD_TOKEN") {
        return Ok(token.to_owned());
    }
    let mut tried = vec!["HCLOUD_TOKEN".to_owned()];
    let path = match surroundings.variable("HCLOUD_CONFIG") {
        Some(path) => Some(path.into()),
        None => surroundings.config("hcloud/cli.toml"),
    };
    if let Some(path) = path {
        tried.push(path.display().to_string());
        if let Some(text) = Surroundings::read(&path)? {
            let bad = |reason: &str| UploadError::BadCredentials {
                from: path.display().to_string(),
                reason: reason.to_owned(),
                hint: "run `hcloud context create NAME`, or set HCLOUD_TOKEN".to_owned(),
            };
            let file: Value = toml::from_str(&text).map_err(|_| bad("it is not TOML"))?;
            let active = file.get("active_context").and_then(Value::as_str).map(str::to_owned);
            let wanted =
                settings.get("context").or(active).ok_or_else(|| bad("no context is active"))?;
            let contexts = file.get("contexts").and_then(Value::as_array);
            let found = contexts.into_iter().flatten().find(|context| {
                context.get("name").and_then(Value::as_str) == Some(wanted.as_str())
            });
            let token = found.and_then(|context| context.get("token")?.as_str());
            return token.map(str::to_owned).ok_or_else(|| bad("it has no such context"));
        }
    }
    Err(UploadError::NoCredentials {
        destination: "hetzner",
        tried,
        hint: "make a token with read and write access in the project's console, Security, API tokens, and \
               set HCLOUD_TOKEN"
            .to_owned(),
    })
}
