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

use mailkiln_letter::reading;
use mailkiln_servers::imap;

use crate::problem::Problem;
use crate::session::Session;

/// Messages that are looked through before the server's index is asked.
const LOOK_BACK: u32 = 200;

/// The newest message with this id in a folder, by which a row knows it even if its UID has changed. The newest messages are looked
/// through: a server's index may be seconds late.
///
/// # Errors
/// Those of the server.
pub(crate) async fn find(
    imap: &mut imap::Session,
    folder: &str,
    id: &str,
) -> mailkiln_servers::Result<Option<u32>> {
    let last = imap.select(folder).await?.exists;
    if last == 0 {
        return Ok(None);
    }
    let rows = imap.window(last.saturating_sub(LOOK_BACK - 1).max(1), last).await?;
    let has = |row: &&imap::Fetched| {
        reading::read(row.header().unwrap_or_default()).headers.message_id.as_deref() == Some(id)
    };
    if let Some(uid) = rows.iter().filter(has).filter_map(|row| row.uid).max() {
        return Ok(Some(uid));
    }
    let key = imap::Key::Header("Message-ID".into(), format!("<{id}>"));
    Ok(imap.search(&[key]).await?.into_iter().max())
}

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
