//! What all requests share.

use std::sync::Arc;

use crate::api::Api;
use crate::configuration::Configuration;
use crate::database::{Database, DatabaseError};
use crate::mailbox::Mailboxes;
use crate::pages::mail::Pictures;
use crate::proxy::Shares;
use crate::session::Store;
use crate::session::credential::Backend;
use crate::session::guesses::Guesses;
use crate::session::pending::Pending;

/// The running program, as handlers see it: `State<Arc<App>>`.
#[derive(Debug)]
pub(crate) struct App {
    /// The configuration.
    pub(crate) configuration: Configuration,
    /// Sessions, preferences, and what pages keep.
    pub(crate) database: Database,
    /// Who is signed in.
    pub(crate) sessions: Store,
    /// Who guessed wrong lately.
    pub(crate) guesses: Guesses,
    /// DAV requests under way.
    pub(crate) dav: Shares,
    /// Event streams that are open.
    pub(crate) streams: Shares,
    /// What waits for the second page of a sign-in or an enrolment.
    pub(crate) pending: Pending,
    /// The server that knows the accounts.
    pub(crate) backend: Backend,
    /// Connections to the mail of those who are signed in.
    pub(crate) mailboxes: Mailboxes,
    /// Images of messages that are open.
    pub(crate) pictures: Pictures,
}

/// Why it can't run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database can't be used.
    #[error("{0}")]
    Database(String),
    /// A server that we can't ask about passwords.
    #[error(
        "the configuration has no server.api: this version signs in at Mailkiln's own mail server only"
    )]
    NoApi,
}

impl From<DatabaseError> for AppError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error.to_string())
    }
}

impl App {
    /// Opens what the program keeps.
    pub(crate) fn new(configuration: Configuration) -> Result<Arc<Self>, AppError> {
        let database = Database::open(&configuration.state)?;
        let sessions = Store::new(database.clone(), configuration.sessions.clone());
        let address = configuration.server.api.ok_or(AppError::NoApi)?;
        let redirect = format!("{}/sign-in", configuration.origin());
        let api = Api::new(address, configuration.server.oauth_client.clone(), redirect);
        Ok(Arc::new(Self {
            guesses: Guesses::new(database.clone()),
            pending: Pending::default(),
            dav: Shares::new(configuration.limits.dav_per_client),
            streams: Shares::new(configuration.limits.streams_per_client),
            configuration,
            database,
            sessions,
            backend: Backend::Own(api),
            mailboxes: Mailboxes::default(),
            pictures: Pictures::default(),
        }))
    }
}
