//! The mailboxes of those who are signed in: one connection for the commands of each session, and one for each account that waits
//! for news while a page of it is open.
//!
//! Everything goes through the connection that the session's own credentials opened: what another account owns cannot be
//! named.

mod news;
mod results;
mod special;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use mailkiln_servers::answer::Limits;
use mailkiln_servers::{Credentials, Error, imap};
use tokio::sync::OwnedMutexGuard;

use crate::app::App;
use crate::journal;
use crate::pages::mail::Last;
use crate::problem::Problem;
use crate::session::{Credential, Id, Session};

pub(crate) use news::{News, Watch};
pub(crate) use results::{Asked, Results};
pub(crate) use special::{is_templates, special, templates};

/// A connection that is not used for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
const SWEEP: Duration = Duration::from_secs(30);
/// Connections for commands of one account: sessions beyond it take turns with the oldest.
const PER_ACCOUNT: usize = 8;
/// How long a request waits for an earlier one of its session.
const TURN: Duration = Duration::from_secs(25);
/// How many moves can be undone.
const UNDOS: usize = 8;

/// What a session has open.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    imap: Option<imap::Session>,
    /// Lists that were sorted or searched.
    pub(crate) results: Results,
    /// The message that was opened last.
    pub(crate) last: Option<Last>,
    undo: Vec<Undo>,
}

/// Messages that were moved, and where they can go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undo {
    /// Names it in forms.
    pub(crate) token: String,
    /// Where they are now.
    pub(crate) now: String,
    /// Where they were, and their UIDs now; none if the server did not say them.
    pub(crate) moves: Vec<(String, Vec<u32>)>,
    /// The text that says what happened: its key, and how many messages.
    pub(crate) text: &'static str,
    /// How many.
    pub(crate) count: usize,
}

impl Mailbox {
    /// The signed-in connection.
    ///
    /// # Errors
    /// [`Problem::ServerAway`] if it was given up meanwhile.
    pub(crate) fn imap(&mut self) -> Result<&mut imap::Session, Problem> {
        self.imap.as_mut().ok_or(Problem::ServerAway)
    }

    /// The connection and the lists at once.
    pub(crate) fn both(&mut self) -> Result<(&mut imap::Session, &mut Results), Problem> {
        Ok((self.imap.as_mut().ok_or(Problem::ServerAway)?, &mut self.results))
    }

    /// Remembers a move.
    pub(crate) fn remember(&mut self, undo: Undo) {
        if self.undo.len() >= UNDOS {
            self.undo.remove(0);
        }
        self.undo.push(undo);
    }

    /// The move of that name.
    pub(crate) fn remembered(&self, token: &str) -> Option<&Undo> {
        self.undo.iter().find(|undo| undo.token == token)
    }

    /// The move of that name, which then is forgotten.
    pub(crate) fn take(&mut self, token: &str) -> Option<Undo> {
        let at = self.undo.iter().position(|undo| undo.token == token)?;
        Some(self.undo.remove(at))
    }
}

#[derive(Debug)]
struct Slot {
    account: Arc<str>,
    used: Instant,
    mailbox: Arc<tokio::sync::Mutex<Mailbox>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    slots: Mutex<BTreeMap<Id, Slot>>,
    watches: news::Watches,
}

impl Mailboxes {
    /// The mailbox of a session, for this request alone.
    ///
    /// # Errors
    /// [`Problem::SignedOut`] if the server does not accept the session any more, [`Problem::ServerAway`] if it does not
    /// answer, [`Problem::TooMany`] if earlier requests of the session take too long.
    pub(crate) async fn open(
        &self,
        session: &Session,
    ) -> Result<OwnedMutexGuard<Mailbox>, Problem> {
        let mailbox = self.slot(session);
        let turn = tokio::time::timeout(TURN, mailbox.lock_owned()).await;
        let mut guard = turn.map_err(|_| Problem::TooMany { seconds: 10 })?;
        let usable = guard.imap.as_ref().is_some_and(imap::Session::is_usable);
        if !usable {
            guard.imap = None;
            guard.imap = Some(connect(session).await?);
        }
        Ok(guard)
    }

    /// The slot of a session; a new one replaces the longest unused of an account that has many.
    fn slot(&self, session: &Session) -> Arc<tokio::sync::Mutex<Mailbox>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&session.id) {
            let of_account = slots.iter().filter(|(_, slot)| slot.account == session.account);
            let count = of_account.clone().count();
            let oldest = of_account.min_by_key(|(_, slot)| slot.used).map(|(id, _)| *id);
            if let Some(oldest) = oldest.filter(|_| count >= PER_ACCOUNT) {
                slots.remove(&oldest);
            }
        }
        let slot = slots.entry(session.id).or_insert_with(|| Slot {
            account: Arc::clone(&session.account),
            used: Instant::now(),
            mailbox: Arc::default(),
        });
        slot.used = Instant::now();
        Arc::clone(&slot.mailbox)
    }

    /// Closes what nobody used for five minutes.
    pub(crate) fn sweep(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.used.elapsed() < IDLE);
    }

    /// Closes what a session that ended had open.
    pub(crate) fn forget(&self, session: Id) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    /// News of the account of a session.
    ///
    /// # Errors
    /// [`Problem::TooMany`] if the account has too many pages open.
    pub(crate) fn watch(&self, session: &Session) -> Result<Watch, Problem> {
        self.watches.watch(session)
    }
}

/// Closes unused connections for as long as the program runs.
pub(crate) async fn sweeper(app: Weak<App>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(app) = app.upgrade() else { return };
        app.mailboxes.sweep();
    }
}

/// Another signed-in connection, for what takes long.
///
/// # Errors
/// As [`Mailboxes::open`].
pub(crate) async fn connect(session: &Session) -> Result<imap::Session, Problem> {
    let endpoint = session.app.configuration.server.imap.endpoint();
    let credentials = credentials(session).await?;
    // The port is not known for a reader who comes through a proxy, and no server asks for it.
    let reader = Some(SocketAddr::new(session.client.address, 0));
    let opened = imap::Session::open(&endpoint, reader, &credentials, Limits::default()).await;
    opened.map_err(problem)
}

/// What servers accept for a session.
///
/// # Errors
/// Those of [`Session::credential`].
pub(crate) async fn credentials(session: &Session) -> Result<Credentials, Problem> {
    let user = session.account.to_string();
    Ok(match session.credential().await? {
        Credential::Token(token) => Credentials::Token { user, token },
        Credential::Password(password) => Credentials::Password { user, password },
    })
}

/// What a page says of an error.
pub(crate) fn problem(error: Error) -> Problem {
    match &error {
        Error::SignIn(_) => Problem::SignedOut,
        Error::Refused { code, .. } if code == "NONEXISTENT" => Problem::NotFound,
        Error::Refused { code, .. } if code == "NOPERM" => Problem::Forbidden,
        Error::Unwritable(_) => Problem::BadRequest,
        _ => {
            journal::warning(&format!("mail server: {error}"));
            Problem::ServerAway
        }
    }
}
