//! A token for Google Cloud: a variable, or Application Default Credentials (a service account's key or a user's).
//!
//! Source: "How Application Default Credentials works", AIP-4110; "Using OAuth 2.0 for server to server applications". Not
//! read: the metadata server of a Google machine and workload identities (`GOOGLE_OAUTH_ACCESS_TOKEN` takes
//! what `gcloud auth print-access-token` prints).

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::bearer::Bearer;
use crate::error::UploadError;
use crate::http::{Http, Request};
use crate::settings::{Settings, Surroundings};
use crate::sign::rsa::RsaKey;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where tokens are made, unless the file says so.
const TOKENS: &str = "https://oauth2.googleapis.com/token";

/// The token, and the project that the credentials belong to.
///
/// # Errors
/// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
pub fn read(settings: &Settings) -> Result<(Bearer, Option<String>), UploadError> {
    let surroundings = &settings.surroundings;
    let mut tried = Vec::new();
    for name in ["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"] {
        tried.push(name.to_owned());
        if let Some(token) = surroundings.variable(name) {
            let token = token.to_owned();
            return Ok((Bearer::new(move |_| Ok(token.clone())), None));
        }
    }
    let path = match surroundings.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => Some(PathBuf::from(path)),
        None => match surroundings.variable("CLOUDSDK_CONFIG") {
            Some(folder) => {
                Some(PathBuf::from(folder).join("application_default_credentials.json"))
            }
            None => surroundings.config("gcloud/application_default_credentials.json"),
        },
    };
    if let Some(path) = path {
        tried.push(path.display().to_string());
        if let Some(text) = Surroundings::read(&path)? {
            return of_file(path, &text);
        }
    }
    Err(UploadError::NoCredentials {
        destination: "gcp",
        tried,
        hint: "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key \
               file of a service account"
            .to_owned(),
    })
}

fn of_file(path: PathBuf, text: &str) -> Result<(Bearer, Option<String>), UploadError> {
    let from = path.display().to_string();
    let bad = {
        let from = from.clone();
        move |reason: &str| UploadError::BadCredentials {
            from: from.clone(),
            reason: reason.to_owned(),
            hint: "run `gcloud auth application-default login`".to_owned(),
        }
    };
    let file: Value = serde_json::from_str(text).map_err(|_| bad("it is not JSON"))?;
    let field = |name: &str| file[name].as_str().map(str::to_owned);
    let need = |name: &str| field(name).ok_or_else(|| bad(&format!("it has no {name}")));
    let project = field("project_id").or_else(|| field("quota_project_id"));
    let address = field("token_uri").unwrap_or_else(|| TOKENS.to_owned());
    match field("type").as_deref() {
        Some("service_account") => {
            let key = RsaKey::parse(&need("private_key")?).map_err(|why| bad(&why))?;
            let (email, id) = (need("client_email")?, field("private_key_id").unwrap_or_default());
            let bearer = Bearer::new(move |http| {
                let now = Timestamp::now().as_second();
                let header = json!({"alg": "RS256", "typ": "JWT", "kid": id});
                let claims = json!({
                    "iss": email, "scope": SCOPE, "aud": address, "iat": now, "exp": now + 3600,
                });
                let assertion = key.assertion(&header, &claims).map_err(|why| bad(&why))?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                token(http, &address, &[("grant_type", grant), ("assertion", &assertion)])
            });
            Ok((bearer, project))
        }
        Some("authorized_user") => {
            let (id, secret, refresh) =
                (need("client_id")?, need("client_secret")?, need("refresh_token")?);
            let bearer = Bearer::new(move |http| {
                token(
                    http,
                    &address,
                    &[
                        ("grant_type", "refresh_token"),
                        ("client_id", &id),
                        ("client_secret", &secret),
                        ("refresh_token", &refresh),
                    ],
                )
            });
            Ok((bearer, project))
        }
        _ => Err(bad("its type is neither service_account nor authorized_user")),
    }
}

/// Asks for a token with a form (RFC 6749 §4).
///
/// # Errors
/// As the request fails.
pub fn token(http: &Http, address: &str, form: &[(&str, &str)]) -> Result<String, UploadError> {
    let what = "asking for a token";
    let answer = http.fetch(what, Request::new("POST", address).form(form))?.json(what)?;
    let token = answer["access_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| UploadError::answer(what, "it has no access_token"))
}
