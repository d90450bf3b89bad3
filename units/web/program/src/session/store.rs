//! Sessions in the database, and tokens in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::credential::{Backend, Credential, SignInError, Tokens};
use super::{Preferences, cookie, preferences};
use crate::client::Client;
use crate::configuration::Sessions;
use crate::database::{Database, DatabaseError, Step};
use crate::problem::Problem;
use crate::seal;

/// The table.
pub(crate) const STEP: Step = Step {
    name: "sessions",
    sql: "CREATE TABLE sessions (
            id BLOB PRIMARY KEY, account TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
            address TEXT NOT NULL, agent TEXT NOT NULL, sealed BLOB NOT NULL
          ) STRICT, WITHOUT ROWID;
          CREATE INDEX sessions_account ON sessions (account);",
};

/// How exactly it is known when a session was last used: writing it down with each request would wear a card out.
const USED_SECONDS: i64 = 300;
/// Tokens that run out within this time are not handed out.
const FRESH: Duration = Duration::from_secs(120);
/// Sessions of one account; the longest unused ends when there is one more.
const PER_ACCOUNT: i64 = 100;

/// What finds a session: the digest of its cookie.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id([u8; 32]);

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Id({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl Id {
    /// Of the session with this cookie.
    pub(crate) fn of(secret: &cookie::Secret) -> Self {
        Self(seal::derive("id", secret))
    }

    /// The digest itself.
    pub(super) fn bytes(self) -> [u8; seal::KEY] {
        self.0
    }

    /// The id with this digest.
    pub(super) fn from_bytes(bytes: [u8; seal::KEY]) -> Self {
        Self(bytes)
    }

    /// Names the session in a list: enough digits to tell it from others, and no cookie follows from it.
    pub(crate) fn label(self) -> String {
        self.0.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A session, as its owner sees it in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// [`Id::label`].
    pub(crate) label: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Seconds since 1970, not more exact than five minutes.
    pub(crate) used: i64,
    /// The address that used it last.
    pub(crate) address: String,
    /// What the browser called itself at sign-in.
    pub(crate) agent: String,
}

/// A session that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) account: String,
    pub(super) preferences: Preferences,
}

/// Sessions and their tokens.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    limits: Sessions,
    tokens: Mutex<BTreeMap<Id, (String, Instant)>>,
    /// One refresh at a time for each session: a second one would throw the first one's token away.
    refreshing: Mutex<BTreeMap<Id, Arc<tokio::sync::Mutex<()>>>>,
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn seconds(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Over `database`.
    pub(crate) fn new(database: Database, limits: Sessions) -> Self {
        Self { database, limits, tokens: Mutex::default(), refreshing: Mutex::default() }
    }

    /// Begins a session and returns its cookie.
    pub(crate) async fn begin(
        &self,
        account: &str,
        client: Client,
        agent: &str,
        tokens: Tokens,
    ) -> Result<cookie::Secret, Problem> {
        let secret = crate::random::bytes::<32>()?;
        let id = Id::of(&secret);
        let sealed =
            seal::seal(&seal::derive("session", &secret), account, tokens.kept().as_bytes())?;
        let agent: String = agent.chars().filter(|letter| !letter.is_control()).take(200).collect();
        let (account, address) = (account.to_owned(), client.address.to_string());
        let write = move |connection: &mut Connection| {
            let now = now();
            connection.execute(
                "INSERT INTO sessions VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
                params![id.0, account, now, address, agent, sealed],
            )?;
            connection.execute(
                "DELETE FROM sessions WHERE account = ?1 AND id NOT IN
                 (SELECT id FROM sessions WHERE account = ?1 ORDER BY used DESC, created DESC LIMIT ?2)",
                params![account, PER_ACCOUNT],
            )
        };
        self.database.call(write).await?;
        self.remember(id, tokens);
        Ok(secret)
    }

    /// Finds a session that has not ended, and notes that it was used.
    pub(super) async fn find(
        &self,
        id: Id,
        client: Client,
    ) -> Result<Option<Found>, DatabaseError> {
        let (oldest_use, oldest) = self.ends();
        let read = move |connection: &mut Connection| {
            let select = "SELECT account, used, address FROM sessions WHERE id = ?1 AND used > ?2 AND created > ?3";
            let found: Option<(String, i64, String)> = connection
                .prepare_cached(select)?
                .query_row(params![id.0, oldest_use, oldest], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((account, used, address)) = found else { return Ok(None) };
            let (now, at) = (now(), client.address.to_string());
            if now - used >= USED_SECONDS || address != at {
                let update = "UPDATE sessions SET used = ?2, address = ?3 WHERE id = ?1";
                connection.execute(update, params![id.0, now, at])?;
            }
            let preferences = preferences::read(connection, &account)?;
            Ok(Some(Found { account, preferences }))
        };
        self.database.call(read).await
    }

    /// Times before which a last use, and a beginning, mean the end.
    fn ends(&self) -> (i64, i64) {
        let now = now();
        (now - seconds(self.limits.idle_seconds), now - seconds(self.limits.absolute_seconds))
    }

    /// Ends one session.
    pub(crate) async fn end(&self, id: Id) -> Result<(), DatabaseError> {
        self.forget(id);
        let delete = move |connection: &mut Connection| {
            connection.execute("DELETE FROM sessions WHERE id = ?1", [id.0])
        };
        self.database.call(delete).await.map(|_| ())
    }

    /// Ends the session of `account` that the list calls `label`.
    pub(crate) async fn end_labelled(
        &self,
        account: &str,
        label: &str,
    ) -> Result<(), DatabaseError> {
        let label = label.to_owned();
        self.end_where(account, move |id| id.label() == label).await
    }

    /// Ends all sessions of `account` but `kept`.
    pub(crate) async fn end_others(
        &self,
        account: &str,
        kept: Option<Id>,
    ) -> Result<(), DatabaseError> {
        self.end_where(account, move |id| Some(id) != kept).await
    }

    async fn end_where(
        &self,
        account: &str,
        ends: impl Fn(Id) -> bool + Send + 'static,
    ) -> Result<(), DatabaseError> {
        let account = account.to_owned();
        let delete = move |connection: &mut Connection| {
            let change = connection.transaction()?;
            let ids: Vec<Id> = {
                let mut select = change.prepare("SELECT id FROM sessions WHERE account = ?1")?;
                let rows = select.query_map([&account], |row| row.get(0).map(Id))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let ended: Vec<Id> = ids.into_iter().filter(|id| ends(*id)).collect();
            for id in &ended {
                change.execute("DELETE FROM sessions WHERE id = ?1", [id.0])?;
            }
            change.commit()?;
            Ok(ended)
        };
        for id in self.database.call(delete).await? {
            self.forget(id);
        }
        Ok(())
    }

    /// The sessions of `account`, the last used first.
    pub(crate) async fn list(&self, account: &str) -> Result<Vec<Entry>, DatabaseError> {
        let (oldest_use, oldest) = self.ends();
        let account = account.to_owned();
        let read = move |connection: &mut Connection| {
            let mut select = connection.prepare(
                "SELECT id, created, used, address, agent FROM sessions
                 WHERE account = ?1 AND used > ?2 AND created > ?3 ORDER BY used DESC, created DESC",
            )?;
            let rows = select.query_map(params![account, oldest_use, oldest], |row| {
                Ok(Entry {
                    label: Id(row.get(0)?).label(),
                    created: row.get(1)?,
                    used: row.get(2)?,
                    address: row.get(3)?,
                    agent: row.get(4)?,
                })
            })?;
            rows.collect()
        };
        self.database.call(read).await
    }

    /// Removes what has ended, from the database and from memory.
    pub(crate) async fn sweep(&self) -> Result<(), DatabaseError> {
        let (oldest_use, oldest) = self.ends();
        let delete = move |connection: &mut Connection| {
            let sql = "DELETE FROM sessions WHERE used <= ?1 OR created <= ?2";
            connection.execute(sql, params![oldest_use, oldest])
        };
        self.database.call(delete).await?;
        let now = Instant::now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, until)| *until > now);
        let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        refreshing.retain(|_, lock| Arc::strong_count(lock) > 1);
        Ok(())
    }

    fn remember(&self, id: Id, tokens: Tokens) {
        if let Tokens::OAuth { access, until, .. } = tokens {
            let mut known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(id, (access, until));
        }
    }

    fn forget(&self, id: Id) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn known(&self, id: Id) -> Option<Credential> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (access, until) = tokens.get(&id)?;
        (*until > Instant::now() + FRESH).then(|| Credential::Token(access.clone()))
    }

    /// See [`super::Session::replace`].
    pub(super) async fn replace(
        &self,
        id: Id,
        key: &[u8; seal::KEY],
        account: &str,
        tokens: Tokens,
    ) -> Result<(), Problem> {
        let sealed = seal::seal(key, account, tokens.kept().as_bytes())?;
        let write = move |connection: &mut Connection| {
            let update = "UPDATE sessions SET sealed = ?2 WHERE id = ?1";
            connection.execute(update, params![id.0, sealed])
        };
        self.database.call(write).await?;
        self.remember(id, tokens);
        Ok(())
    }

    /// See [`super::Session::credential`].
    pub(super) async fn credential(
        &self,
        backend: &Backend,
        id: Id,
        key: &[u8; seal::KEY],
        account: &str,
        client: Client,
    ) -> Result<Credential, Problem> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let lock = {
            let mut all = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(id).or_default())
        };
        let _turn = lock.lock().await;
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let read = move |connection: &mut Connection| {
            let select = "SELECT sealed FROM sessions WHERE id = ?1";
            connection.query_row(select, [id.0], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        let sealed = self.database.call(read).await?.ok_or(Problem::SignedOut)?;
        let kept =
            seal::open(key, account, &sealed).and_then(|plain| String::from_utf8(plain).ok());
        let kept = kept.ok_or(Problem::SignedOut)?;
        match backend.renew(&kept, client).await {
            Ok(Tokens::Password(password)) => Ok(Credential::Password(password)),
            Ok(tokens) => {
                let Tokens::OAuth { access, .. } = &tokens else { return Err(Problem::Internal) };
                let credential = Credential::Token(access.clone());
                if tokens.kept() == kept {
                    self.remember(id, tokens);
                } else {
                    self.replace(id, key, account, tokens).await?;
                }
                Ok(credential)
            }
            Err(SignInError::Refused | SignInError::CodeNeeded) => {
                self.end(id).await?;
                Err(Problem::SignedOut)
            }
            Err(error @ SignInError::Away(_)) => {
                crate::journal::warning(&error.to_string());
                Err(Problem::ServerAway)
            }
        }
    }
}
