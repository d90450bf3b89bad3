//! Passwords in, tokens out: how the server that holds the mail recognises a reader.

use std::time::Instant;

use crate::api::{Api, ApiError};
use crate::client::Client;

/// What a mail server takes for an account: OAUTHBEARER (RFC 7628) or PLAIN (RFC 4616).
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// An access token of our own server.
    Token(String),
    /// The password, for servers without OAuth.
    Password(String),
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Password(_) => "Password",
        })
    }
}

/// What a session lives on.
#[derive(Clone)]
pub(crate) enum Tokens {
    /// Of our own server. The refresh token dies with the password that it was given for.
    OAuth {
        /// Accepted everywhere, for about an hour.
        access: String,
        /// Until then.
        until: Instant,
        /// Gives the next access token.
        refresh: String,
    },
    /// Another server has only this.
    Password(String),
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// What is sealed and kept.
    pub(crate) fn kept(&self) -> &str {
        match self {
            Self::OAuth { refresh, .. } => refresh,
            Self::Password(password) => password,
        }
    }
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// Account or password is wrong, or a token is not accepted any more.
    #[error("the mail server refuses these credentials")]
    Refused,
    /// The password is right; a code of the second factor is needed besides.
    #[error("the mail server asks for a code of the second factor")]
    CodeNeeded,
    /// The server can't be asked.
    #[error("{0}")]
    Away(String),
}

impl From<ApiError> for SignInError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unauthorized => Self::Refused,
            ApiError::CodeNeeded => Self::CodeNeeded,
            other => Self::Away(other.to_string()),
        }
    }
}

/// The server that knows the accounts.
#[derive(Debug)]
pub(crate) enum Backend {
    /// Ours.
    Own(Api),
}

impl Backend {
    /// Exchanges a password, and a code where one is needed, for tokens.
    pub(crate) async fn sign_in(
        &self,
        account: &str,
        password: &str,
        code: Option<&str>,
        client: Client,
    ) -> Result<Tokens, SignInError> {
        match self {
            Self::Own(api) => Ok(api.sign_in(account, password, code, client).await?),
        }
    }

    /// The API for what an account can change of itself, where there is one.
    pub(crate) fn own(&self) -> Option<&Api> {
        match self {
            Self::Own(api) => Some(api),
        }
    }

    /// Makes fresh tokens from what [`Tokens::kept`] gave.
    pub(crate) async fn renew(&self, kept: &str) -> Result<Tokens, SignInError> {
        match self {
            Self::Own(api) => Ok(api.renew(kept).await?),
        }
    }
}
