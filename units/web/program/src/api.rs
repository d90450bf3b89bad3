//! The HTTP API of our own mail server, on loopback: tokens for sign-in, and what an account may change of itself.
//!
//! The web unit has no right of its own there. It asks with the reader's password, or with tokens that were given for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::form::escaped;
use crate::session::credential::Tokens;

/// The server delays wrong passwords itself.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where tokens are given.
const TOKEN: &str = "/auth/token";
/// Largest answer.
const LARGEST: usize = 1 << 20;

/// Why the server did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Wrong account, password, code or token.
    #[error("the mail server refuses these credentials")]
    Unauthorized,
    /// The password is right, but the account has a second factor.
    #[error("the mail server asks for a code of the second factor")]
    CodeNeeded,
    /// It can't be asked.
    #[error(
        "cannot reach the mail server's API at {address}: {problem}; is mail-server.service running?"
    )]
    Away {
        /// Where.
        address: SocketAddr,
        /// Why.
        problem: String,
    },
    /// It says no.
    #[error("the mail server's API refuses {path}: {answer}")]
    Refused {
        /// What was asked.
        path: &'static str,
        /// Status and the beginning of the answer.
        answer: String,
    },
}

/// How a call says who asks.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    /// Nobody in particular.
    Nobody,
    /// With a password, and a code where the account has a second factor.
    Owner {
        /// The account.
        account: &'a str,
        /// Its password.
        password: &'a str,
        /// Its code.
        code: Option<&'a str>,
    },
    /// With an access token.
    Bearer(&'a str),
}

impl As<'_> {
    fn header(self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::Owner { account, password, code } => {
                // The server's own way to take both in one field.
                let secret = match code {
                    Some(code) => format!("{password}${code}"),
                    None => password.to_owned(),
                };
                Some(format!("Basic {}", STANDARD.encode(format!("{account}:{secret}"))))
            }
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }
}

/// What an account's sign-in consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct SignInState {
    /// Whether there is a second factor.
    #[serde(rename = "otpEnabled")]
    pub(crate) second_factor: bool,
    /// Names of app passwords.
    #[serde(rename = "appPasswords")]
    pub(crate) app_passwords: Vec<String>,
}

/// The API of one server.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    /// The principal of type `oauthClient`.
    client_id: String,
    /// One of the addresses that the principal names. Nobody is redirected.
    redirect: String,
}

impl Api {
    /// At `address`; tokens are given to `client_id`, which the server knows with `redirect`.
    pub(crate) fn new(address: SocketAddr, client_id: String, redirect: String) -> Self {
        Self { address, client_id, redirect }
    }

    /// Where DAV is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Exchanges a password for tokens.
    pub(crate) async fn sign_in(
        &self,
        account: &str,
        password: &str,
        code: Option<&str>,
        client: Client,
    ) -> Result<Tokens, ApiError> {
        let ask = json!({ "type": "code", "client_id": self.client_id, "redirect_uri": self.redirect, "nonce": null });
        let owner = As::Owner { account, password, code };
        let answer = self.json(Method::POST, "/api/oauth", owner, Some(&ask), client).await?;
        let given = answer["data"]["code"].as_str().unwrap_or_default();
        let (id, redirect) = (escaped(&self.client_id), escaped(&self.redirect));
        let form = format!(
            "grant_type=authorization_code&code={given}&client_id={id}&redirect_uri={redirect}"
        );
        self.tokens(&form, client).await
    }

    /// Exchanges a refresh token for fresh ones.
    pub(crate) async fn renew(&self, refresh: &str, client: Client) -> Result<Tokens, ApiError> {
        let form = format!("grant_type=refresh_token&refresh_token={}", escaped(refresh));
        match self.tokens(&form, client).await? {
            // The server gives a new refresh token only when the old one nears its end.
            Tokens::OAuth { access, until, refresh: new } if new.is_empty() => {
                Ok(Tokens::OAuth { access, until, refresh: refresh.to_owned() })
            }
            tokens => Ok(tokens),
        }
    }

    async fn tokens(&self, form: &str, client: Client) -> Result<Tokens, ApiError> {
        let kind = "application/x-www-form-urlencoded";
        let body = Bytes::from(form.to_owned());
        let (status, bytes) = self.ask(Method::POST, TOKEN, As::Nobody, kind, body, client).await?;
        granted(status, &bytes)
    }

    /// What the account has besides its password.
    pub(crate) async fn sign_in_state(
        &self,
        who: As<'_>,
        client: Client,
    ) -> Result<SignInState, ApiError> {
        let path = "/api/account/auth";
        let answer = self.json(Method::GET, path, who, None, client).await?;
        serde_json::from_value(answer["data"].clone()).map_err(|_| not_understood(path))
    }

    /// Changes what the account has. Each change is an object with `type`.
    pub(crate) async fn change(
        &self,
        who: As<'_>,
        changes: &Value,
        client: Client,
    ) -> Result<(), ApiError> {
        self.json(Method::POST, "/api/account/auth", who, Some(changes), client).await.map(|_| ())
    }

    async fn json(
        &self,
        method: Method,
        path: &'static str,
        who: As<'_>,
        body: Option<&Value>,
        client: Client,
    ) -> Result<Value, ApiError> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let (status, bytes) = self.ask(method, path, who, "application/json", body, client).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() && value.get("error").is_none() {
            return Ok(value);
        }
        Err(refused(path, status, &bytes))
    }

    async fn ask(
        &self,
        method: Method,
        path: &'static str,
        who: As<'_>,
        kind: &str,
        body: Bytes,
        client: Client,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let away = |problem: String| ApiError::Away { address: self.address, problem };
        let exchange = async {
            let stream =
                TcpStream::connect(self.address).await.map_err(|it| away(it.to_string()))?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                    .await
                    .map_err(|error| away(error.to_string()))?;
            let connection = tokio::spawn(connection);
            let mut request =
                Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
            request = request.header(CONTENT_TYPE, kind);
            if let Some(header) = who.header() {
                request = request.header(AUTHORIZATION, header);
            }
            // The server counts, delays and bans whom it believes to be the client.
            request = request.header("x-forwarded-for", client.address.to_string());
            let request = request.body(Full::new(body)).map_err(|error| away(error.to_string()))?;
            let answer = sender.send_request(request).await.map_err(|it| away(it.to_string()))?;
            let status = answer.status();
            let bytes = Limited::new(answer.into_body(), LARGEST).collect().await;
            connection.abort();
            Ok((status, bytes.map_err(|error| away(error.to_string()))?.to_bytes()))
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(away(format!("no answer within {} s", TIMEOUT.as_secs()))))
    }
}

/// The tokens of an answer.
fn granted(status: StatusCode, bytes: &Bytes) -> Result<Tokens, ApiError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
        #[serde(default)]
        refresh_token: String,
    }
    if status.is_success()
        && let Ok(granted) = serde_json::from_slice::<Granted>(bytes)
    {
        return Ok(Tokens::OAuth {
            access: granted.access_token,
            until: Instant::now() + Duration::from_secs(granted.expires_in),
            refresh: granted.refresh_token,
        });
    }
    match serde_json::from_slice::<Value>(bytes).unwrap_or_default()["error"].as_str() {
        Some("invalid_grant" | "access_denied" | "expired_token") => Err(ApiError::Unauthorized),
        // There may be a token in it, which has no place in the journal.
        _ if status.is_success() => Err(not_understood(TOKEN)),
        _ => Err(refused(TOKEN, status, bytes)),
    }
}

fn not_understood(path: &'static str) -> ApiError {
    ApiError::Refused { path, answer: "an answer that is not understood".to_owned() }
}

fn refused(path: &'static str, status: StatusCode, bytes: &Bytes) -> ApiError {
    match status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized,
        StatusCode::PAYMENT_REQUIRED => ApiError::CodeNeeded,
        _ => {
            let beginning: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
            ApiError::Refused { path, answer: format!("{status} {beginning}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_token_is_not_told() {
        let told = |status, body: &'static str| {
            granted(status, &Bytes::from_static(body.as_bytes())).unwrap_err().to_string()
        };
        let strange = told(StatusCode::OK, r#"{"access_token": "s3cret", "expires_in": "soon"}"#);
        assert!(strange.ends_with("/auth/token: an answer that is not understood"), "{strange}");
        assert!(told(StatusCode::BAD_GATEWAY, "down").ends_with("502 Bad Gateway down"));
        let late = told(StatusCode::BAD_REQUEST, r#"{"error": "invalid_grant"}"#);
        assert_eq!(late, ApiError::Unauthorized.to_string());
        let good = r#"{"access_token": "a", "expires_in": 60}"#;
        let good = granted(StatusCode::OK, &Bytes::from_static(good.as_bytes()));
        assert!(matches!(good, Ok(Tokens::OAuth { access, .. }) if access == "a"));
    }
}
