//! Who is signed in. A session is a row in the database, found by the digest of a random cookie; what it may do at the mail server is
//! sealed in it by a key made from the same cookie. So neither the database nor the cookie alone opens anything.
//!
//! Pages take [`Session`] where someone must be signed in, and [`crate::layout::View`] where that does not matter.

pub(crate) mod code;
pub(crate) mod cookie;
pub(crate) mod credential;
pub(crate) mod csrf;
pub(crate) mod guesses;
pub(crate) mod password;
pub(crate) mod pending;
mod preferences;
mod store;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::HeaderMap;
use http::request::Parts;

use crate::app::App;
use crate::client::Client;
use crate::form;
use crate::layout::View;
use crate::problem::Problem;

pub(crate) use credential::Credential;
pub(crate) use preferences::{Preferences, STEP as PREFERENCES};
pub(crate) use store::{Id, STEP, Store, now};

/// Someone signed in, on the request that it was taken from.
#[derive(Clone)]
pub(crate) struct Session {
    /// The whole program.
    pub(crate) app: Arc<App>,
    /// The digest of the cookie.
    pub(crate) id: Id,
    /// Opens what is sealed in the session.
    key: [u8; crate::seal::KEY],
    /// The mail address.
    pub(crate) account: Arc<str>,
    /// How pages look for this reader: language, layout, CSRF.
    pub(crate) view: View,
    /// Where the request came from.
    pub(crate) client: Client,
}

/// The key stays out of logs.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Session {
    /// The session of these headers, if there is one that has not ended.
    pub(crate) async fn find(
        app: &Arc<App>,
        headers: &HeaderMap,
        client: Client,
    ) -> Result<Option<Self>, Problem> {
        let Some(secret) = cookie::secret(headers, cookie::SESSION) else { return Ok(None) };
        let id = Id::of(&secret);
        let Some(found) = app.sessions.find(id, client).await? else { return Ok(None) };
        let account: Arc<str> = found.account.into();
        let view = View::of_account(headers, Arc::clone(&account), found.preferences);
        let key = crate::seal::derive("session", &secret);
        Ok(Some(Self { app: Arc::clone(app), id, key, account, view, client }))
    }

    /// What the mail servers take for this account: a token that is fresh enough for the next minutes, or the password.
    ///
    /// # Errors
    /// [`Problem::SignedOut`] when the server takes it no more, and the session is ended then; [`Problem::ServerAway`].
    pub(crate) async fn credential(&self) -> Result<Credential, Problem> {
        self.app
            .sessions
            .credential(&self.app.backend, self.id, &self.key, &self.account, self.client)
            .await
    }

    /// What opens the account again later, without the cookie; only `key` opens it, for this account alone.
    pub(crate) fn sealed(&self, key: &[u8; crate::seal::KEY]) -> Result<Vec<u8>, Problem> {
        let plain = [self.id.bytes(), self.key].concat();
        Ok(crate::seal::seal(key, &format!("later {}", self.account), &plain)?)
    }

    /// The session that [`Session::sealed`] has sealed. Whether it has ended shows when its credential is asked for.
    pub(crate) fn unsealed(
        app: &Arc<App>,
        account: &str,
        sealed: &[u8],
        key: &[u8; crate::seal::KEY],
    ) -> Option<Self> {
        let plain = crate::seal::open(key, &format!("later {account}"), sealed)?;
        let (id, key) = plain.split_first_chunk::<{ crate::seal::KEY }>()?;
        let account: Arc<str> = account.into();
        let view =
            View::of_account(&HeaderMap::new(), Arc::clone(&account), Preferences::default());
        let client = Client { address: std::net::Ipv4Addr::LOCALHOST.into(), secure: true };
        let key = key.try_into().ok()?;
        Some(Self { app: Arc::clone(app), id: Id::from_bytes(*id), key, account, view, client })
    }

    /// Tells this browser from others, for what waits between two of its pages.
    pub(crate) fn browser(&self) -> cookie::Secret {
        crate::seal::derive("browser", &self.key)
    }

    /// Lives on `tokens` from now on, after a change of password.
    pub(crate) async fn replace(&self, tokens: credential::Tokens) -> Result<(), Problem> {
        self.app.sessions.replace(self.id, &self.key, &self.account, tokens).await
    }

    /// Keeps a preference of the account; an empty value forgets it.
    pub(crate) async fn prefer(&self, name: &'static str, value: String) -> Result<(), Problem> {
        let account = self.account.to_string();
        let write = move |connection: &mut rusqlite::Connection| {
            preferences::write(connection, &account, name, &value)
        };
        Ok(self.app.database.call(write).await?)
    }

    /// The text of `key` in the reader's language.
    pub(crate) fn text(&self, key: &str) -> &'static str {
        self.view.language.text(key)
    }
}

impl FromRequestParts<Arc<App>> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let client = parts.extensions.get().copied();
        let client = client.ok_or_else(|| Problem::Internal.into_response())?;
        match Self::find(app, &parts.headers, client).await {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(sign_in_first(parts)),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// Where a reader without a session is sent: back to the same page after sign-in. A script is told.
fn sign_in_first(parts: &Parts) -> Response {
    let mode = parts.headers.get("sec-fetch-mode").and_then(|mode| mode.to_str().ok());
    if mode.is_some_and(|mode| mode != "navigate") {
        return Problem::SignedOut.into_response();
    }
    // A form can't be sent again from the sign-in page.
    let wanted = match parts.method {
        http::Method::GET => parts.uri.path_and_query().map_or("/", |it| it.as_str()),
        _ => "/",
    };
    Redirect::to(&format!("/sign-in?next={}", form::escaped(wanted))).into_response()
}
