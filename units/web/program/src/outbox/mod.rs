//! What has to happen later: messages that are sent after a while, messages that come back to the inbox.
//!
//! The table holds no mail, only where it lies: a draft waits in the account's Drafts. Nothing is lost if the browser or this
//! program ends: rows are in the database, and [`worker`] goes on with them. A row opens the account by its owner's session, sealed
//! under a key that lies beside the database; when that session has ended, the row waits for the next one.

mod key;
mod table;
mod worker;

pub(crate) use table::{Kind, New, Row, STEP, State, add, cancel, list, revive};
pub(crate) use worker::{WAKE, run};

use crate::problem::Problem;
use crate::session::Session;

/// Puts `new` into the table for the account of `session`, and returns its number.
///
/// # Errors
/// [`Problem::TooMany`] if the account has too many rows.
pub(crate) async fn enter(session: &Session, new: New) -> Result<i64, Problem> {
    let key = key::read(&session.app.configuration.state)?;
    let sealed = session.sealed(&key)?;
    let account = session.account.to_string();
    let entered = session
        .app
        .database
        .call(move |connection| add(connection, &account, &new, &sealed))
        .await?;
    WAKE.notify_one();
    entered.ok_or(Problem::TooMany { seconds: 3600 })
}

/// Lets rows that waited for a session go on with this one.
pub(crate) async fn resume(session: &Session) -> Result<(), Problem> {
    let key = key::read(&session.app.configuration.state)?;
    let sealed = session.sealed(&key)?;
    let account = session.account.to_string();
    let revived =
        session.app.database.call(move |connection| revive(connection, &account, &sealed)).await?;
    if revived > 0 {
        WAKE.notify_one();
    }
    Ok(())
}
