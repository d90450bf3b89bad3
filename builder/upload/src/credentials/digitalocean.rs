//! The token of DigitalOcean: a variable, or doctl's file.

use super::yaml::Yaml;
use crate::error::UploadError;
use crate::settings::{Settings, Surroundings};

/// Reads it.
///
/// # Errors
/// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
pub fn token(settings: &Settings) -> Result<String, UploadError> {
    let surroundings = &settings.surroundings;
    let mut tried = Vec::new();
    for name in ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"] {
        tried.push(name.to_owned());
        if let Some(token) = surroundings.variable(name) {
            return Ok(token.to_owned());
        }
    }
    if let Some(path) = surroundings.config("doctl/config.yaml") {
        tried.push(path.display().to_string());
        if let Some(text) = Surroundings::read(&path)? {
            let file = Yaml::parse(&text).map_err(|reason| UploadError::BadCredentials {
                from: path.display().to_string(),
                reason,
                hint: "set DIGITALOCEAN_TOKEN".to_owned(),
            })?;
            let context = file.text(&["context"]).filter(|name| *name != "default");
            let found = match context {
                Some(name) => file.text(&["auth-contexts", name]),
                None => file.text(&["access-token"]),
            };
            if let Some(token) = found {
                return Ok(token.to_owned());
            }
        }
    }
    Err(UploadError::NoCredentials {
        destination: "digitalocean",
        tried,
        hint: "make a token in the control panel, API, and set DIGITALOCEAN_TOKEN".to_owned(),
    })
}
