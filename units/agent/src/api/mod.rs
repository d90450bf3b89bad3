//! The mail server's management API, as far as domains and accounts go.
//!
//! In: the API's root (plain HTTP on loopback) and the administrator's password. Out: principals,
//! which is what Stalwart 0.15 calls domains and accounts. Failures come as status 200 with
//! `{"error": …}`, except for those of HTTP itself.

mod answer;
mod principal;

use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::deadline::Deadline;
use answer::{Answer, Failure};
use principal::Page;
pub use principal::{NewPrincipal, OneOrMany, Principal};

/// Login of the API's administrator.
pub const ADMINISTRATOR: &str = "admin";

/// One request; a database that recovers from a power cut takes its time.
const REQUEST: Duration = Duration::from_secs(60);
/// Pause between two attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(500);
/// Answers larger than this are not ours.
const LARGEST_ANSWER: u64 = 4 << 20;

/// Why the API did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answers.
    #[error(
        "the mail server's API at {root} does not answer: {source}; \
         see `journalctl -u mail-server`"
    )]
    Unreachable {
        /// Root of the API.
        root: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The administrator's password is not the server's.
    #[error(
        "the mail server does not accept the administrator's password; run \
         `systemctl restart mailkiln-prepare mail-server`"
    )]
    Unauthorized,
    /// A name is taken by something else.
    #[error("`{value}` is already used by another account or list")]
    Taken {
        /// The address or name.
        value: String,
    },
    /// Any other refusal.
    #[error("the mail server refused to {action} `{name}`: {reason}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// For which principal.
        name: String,
        /// What the server said.
        reason: String,
    },
}

/// A client that the server lets nobody in from, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ban {
    /// An IPv4 address, or an IPv6 network of 64 bits.
    pub client: String,
    /// What it did.
    pub reason: String,
    /// Seconds until it is let in again.
    pub remaining: u64,
}

/// The API of one server.
#[derive(Debug)]
pub struct Api {
    agent: ureq::Agent,
    root: String,
    authorization: Authorization,
}

/// A header that `Debug` does not show.
struct Authorization(String);

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization")
    }
}

impl Api {
    /// The API at `root`, as the administrator.
    pub fn new(root: &str, password: &str) -> Self {
        Self::of(root, ADMINISTRATOR, password)
    }

    fn of(root: &str, login: &str, password: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST))
            .max_redirects(0)
            // Whatever the environment says: the API is on this machine.
            .proxy(None)
            .build();
        let credentials = STANDARD.encode(format!("{login}:{password}"));
        Self {
            agent: config.into(),
            root: root.trim_end_matches('/').to_owned(),
            authorization: Authorization(format!("Basic {credentials}")),
        }
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// [`ApiError::Unreachable`] when `deadline` comes first; [`ApiError::Unauthorized`] at once.
    pub fn wait(&self, deadline: Deadline) -> Result<(), ApiError> {
        loop {
            match self.call("GET", "principal?types=domain&limit=1", None) {
                Err(ApiError::Unreachable { .. }) if !deadline.is_over() => sleep(PAUSE),
                Err(error) => return Err(error),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// The domain or account `name`; `None` when there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn principal(&self, name: &str) -> Result<Option<Principal>, ApiError> {
        match self.call("GET", &path(name), None)?.outcome("read", name) {
            Ok(data) => serde_json::from_value(data).map(Some).map_err(|error| ApiError::Refused {
                action: "read",
                name: name.to_owned(),
                reason: error.to_string(),
            }),
            Err(Failure::NotFound) => Ok(None),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    /// Makes a domain or an account.
    ///
    /// # Errors
    /// [`ApiError::Taken`] when one of its addresses is in use.
    pub fn create(&self, principal: &NewPrincipal<'_>) -> Result<(), ApiError> {
        let body = serde_json::to_value(principal).unwrap_or_default();
        let answer = self.call("POST", "principal", Some(&body))?;
        Ok(answer.outcome("create", principal.name).map(drop)?)
    }

    /// Makes an OAuth client, which may ask for tokens with the address `url`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn create_oauth_client(&self, name: &str, url: &str) -> Result<(), ApiError> {
        let body = serde_json::json!({"type": "oauthClient", "name": name, "urls": [url]});
        let answer = self.call("POST", "principal", Some(&body))?;
        Ok(answer.outcome("create", name).map(drop)?)
    }

    /// Sets the addresses that an OAuth client may ask for tokens with.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn set_urls(&self, name: &str, urls: &[String]) -> Result<(), ApiError> {
        self.change(name, "set", "urls", &urls.into())
    }

    /// Adds an address to an account.
    ///
    /// # Errors
    /// [`ApiError::Taken`] when it is in use.
    pub fn add_email(&self, name: &str, email: &str) -> Result<(), ApiError> {
        self.add(name, "emails", email)
    }

    /// Takes an address from an account.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn remove_email(&self, name: &str, email: &str) -> Result<(), ApiError> {
        self.change(name, "removeItem", "emails", &email.into())
    }

    /// Takes a permission from an account, or gives it back.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn disable(&self, name: &str, permission: &str, disabled: bool) -> Result<(), ApiError> {
        let action = if disabled { "addItem" } else { "removeItem" };
        self.change(name, action, "disabledPermissions", &permission.into())
    }

    /// Sets what recipients see as the name of an account; empty for none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn set_description(&self, name: &str, description: &str) -> Result<(), ApiError> {
        self.change(name, "set", "description", &description.into())
    }

    /// Sets the quota of an account in bytes; `None` for no limit.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn set_quota(&self, name: &str, quota: Option<u64>) -> Result<(), ApiError> {
        // An empty text is how the server spells "none".
        let value = quota.map_or_else(|| Value::from(""), Value::from);
        self.change(name, "set", "quota", &value)
    }

    /// Deletes an account with its mail, or a domain; it may be gone already.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn delete(&self, name: &str) -> Result<(), ApiError> {
        match self.call("DELETE", &path(name), None)?.outcome("delete", name) {
            Ok(_) | Err(Failure::NotFound) => Ok(()),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    /// Accounts, groups and lists that have an address in `domain`, sorted.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn users_of_domain(&self, domain: &str) -> Result<Vec<String>, ApiError> {
        let query =
            "principal?types=individual,group,list,resource,location,other&fields=name,emails";
        let data = self.call("GET", query, None)?.outcome("list", domain)?;
        let page: Page = serde_json::from_value(data).map_err(|error| ApiError::Refused {
            action: "list",
            name: domain.to_owned(),
            reason: error.to_string(),
        })?;
        let inside = |email: &String| {
            email.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain))
        };
        let mut users: Vec<String> = page
            .items
            .into_iter()
            .filter(|item| item.emails.as_slice().iter().any(inside))
            .map(|item| item.name)
            .collect();
        users.sort();
        Ok(users)
    }

    /// Sets the password of an account by its hash; app passwords and the second factor stay.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn set_password_hash(&self, name: &str, hash: &str) -> Result<(), ApiError> {
        self.add(name, "secrets", hash)
    }

    fn add(&self, name: &str, field: &str, value: &str) -> Result<(), ApiError> {
        self.change(name, "addItem", field, &value.into())
    }

    fn change(&self, name: &str, action: &str, field: &str, value: &Value) -> Result<(), ApiError> {
        let body = serde_json::json!([{"action": action, "field": field, "value": value}]);
        let answer = self.call("PATCH", &path(name), Some(&body))?;
        Ok(answer.outcome("change", name).map(drop)?)
    }

    /// The clients that the server lets nobody in from, by address.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn bans(&self) -> Result<Vec<Ban>, ApiError> {
        let data = self.call("GET", "bans", None)?.outcome("list", "bans")?;
        serde_json::from_value(data).map_err(|error| ApiError::Refused {
            action: "list",
            name: "bans".to_owned(),
            reason: error.to_string(),
        })
    }

    /// Lets a client in again; false when it was not banned.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn lift_ban(&self, address: IpAddr) -> Result<bool, ApiError> {
        let address = address.to_string();
        let answer = self.call("DELETE", &format!("bans/{}", escaped(&address)), None)?;
        match answer.outcome("lift the ban of", &address) {
            Ok(_) => Ok(true),
            Err(Failure::NotFound) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, ApiError> {
        let unreachable = |source: ureq::Error| ApiError::Unreachable {
            root: self.root.clone(),
            source: Box::new(source),
        };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/{path}", self.root))
            .header("Authorization", &self.authorization.0)
            .header("Content-Type", "application/json")
            // The server asks every client on loopback for it, since the web unit is one, and warns without.
            .header("X-Forwarded-For", "127.0.0.1")
            .body(body.map(Value::to_string).unwrap_or_default())
            .map_err(|error| unreachable(error.into()))?;
        let mut response = self.agent.run(request).map_err(unreachable)?;
        let status = response.status().as_u16();
        let reader = response.body_mut().with_config().limit(LARGEST_ANSWER);
        let text = reader.read_to_string().map_err(unreachable)?;
        match status {
            401 => Err(ApiError::Unauthorized),
            // The server answers before its database does.
            502..=504 => Err(unreachable(ureq::Error::StatusCode(status))),
            _ => Ok(Answer { status, text }),
        }
    }
}

/// One account, by its own login and password: what it may do to itself.
#[derive(Debug)]
pub struct OwnAccount {
    api: Api,
    name: String,
}

impl OwnAccount {
    /// The account `login` of the server whose API is at `root`.
    pub fn new(root: &str, login: &str, password: &str) -> Self {
        Self { api: Api::of(root, login, password), name: login.to_owned() }
    }

    /// Sets another password by its hash; app passwords and the second factor stay.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] for a wrong login or password, also where a name cannot be one.
    pub fn set_password_hash(&self, hash: &str) -> Result<(), ApiError> {
        // RFC 7617 section 2: a colon ends the login. The administrator without an account of his own
        // has a password that the agent keeps; the server would store another one beside it.
        if self.name.contains(':') || self.name.is_empty() || self.name == ADMINISTRATOR {
            return Err(ApiError::Unauthorized);
        }
        let body = serde_json::json!([{"type": "setPassword", "password": hash}]);
        let answer = self.api.call("POST", "account/auth", Some(&body))?;
        Ok(answer.outcome("change", &self.name).map(drop)?)
    }
}

/// Where the principal `name` is.
fn path(name: &str) -> String {
    format!("principal/{}", escaped(name))
}

/// Everything escaped that means something in a URL.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().fold(String::new(), |path, byte| {
        if plain(byte) {
            path + &char::from(byte).to_string()
        } else {
            path + &format!("%{byte:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(path("a/b?#%é@x-y.org"), "principal/a%2Fb%3F%23%25%C3%A9%40x-y.org");
    }

    #[test]
    fn the_password_is_not_shown() {
        let api = Api::new("http://127.0.0.1:1/", "correct horse");
        let shown = format!("{api:?}");
        let encoded = STANDARD.encode("admin:correct horse");
        assert!(!shown.contains("correct") && !shown.contains(&encoded), "{shown}");
    }

    #[test]
    fn nobody_there() {
        let api = Api::new("http://127.0.0.1:1", "x");
        let error = api.wait(Deadline::after(Duration::ZERO)).unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1") && error.contains("journalctl"), "{error}");
    }
}
