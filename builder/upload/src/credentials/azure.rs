//! Tokens for Azure: of a service principal by its variables, or of whoever is signed in at the Azure CLI.
//!
//! Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow"; `az account get-access-token`. Not read:
//! managed identities and certificates (the CLI knows both).

use serde_json::Value;

use super::bearer::Bearer;
use super::gcp::token;
use super::output_of;
use crate::error::UploadError;
use crate::http::{Http, encode};
use crate::settings::Settings;

/// A token for a resource, as `https://management.azure.com/`.
pub fn bearer(settings: &Settings, resource: &'static str) -> Bearer {
    let variable = |name| settings.surroundings.variable(name).map(str::to_owned);
    let principal = variable("AZURE_TENANT_ID")
        .zip(variable("AZURE_CLIENT_ID"))
        .zip(variable("AZURE_CLIENT_SECRET"));
    let host = variable("AZURE_AUTHORITY_HOST")
        .unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
    let host = host.trim_end_matches('/').to_owned();
    Bearer::new(move |http: &Http| match &principal {
        Some(((tenant, id), secret)) => token(
            http,
            &format!("{host}/{}/oauth2/v2.0/token", encode(tenant)),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret),
                ("scope", &format!("{resource}.default")),
            ],
        ),
        None => of_cli(resource),
    })
}

fn of_cli(resource: &str) -> Result<String, UploadError> {
    let hint = "run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";
    let arguments = ["account", "get-access-token", "--resource", resource, "--output", "json"];
    let text = output_of("az", &arguments, hint)?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let token = value["accessToken"].as_str();
    token.map(str::to_owned).ok_or_else(|| UploadError::BadCredentials {
        from: "the program `az`".to_owned(),
        reason: "its output has no accessToken".to_owned(),
        hint: hint.to_owned(),
    })
}
