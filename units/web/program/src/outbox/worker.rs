//! Does what is due, one after the other.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::tz::TimeZone;
use mailkiln_letter::{text, writing};
use mailkiln_servers::imap::{self, Change, SpecialUse};
use mailkiln_servers::{Error, smtp};
use tokio::sync::Notify;

use super::key;
use super::table::{Kind, Outcome, Row, claim, finish, recover, time_zone};
use crate::app::App;
use crate::problem::Problem;
use crate::session::{Session, now};
use crate::{journal, layout, mailbox};

/// Wakes the worker when something was entered.
pub(crate) static WAKE: Notify = Notify::const_new();
/// The longest sleep: clocks jump.
const NAP: Duration = Duration::from_secs(60);

/// Works for as long as the program runs.
pub(crate) async fn run(app: Weak<App>) {
    if let Some(app) = app.upgrade()
        && let Err(error) = app.database.call(recover).await
    {
        journal::warning(&error.to_string());
    }
    loop {
        let Some(strong) = app.upgrade() else { return };
        let nap = step(&strong).await;
        drop(strong);
        if !nap.is_zero() {
            let _ = tokio::time::timeout(nap, WAKE.notified()).await;
        }
    }
}

/// Does one thing, or says how long there is nothing to do.
async fn step(app: &Arc<App>) -> Duration {
    let row = match app.database.call(|connection| claim(connection, now())).await {
        Ok(Ok(row)) => row,
        Ok(Err(next)) => {
            let wait = next.map_or(60, |due| due - now()).clamp(1, 60);
            return Duration::from_secs(u64::try_from(wait).unwrap_or(1));
        }
        Err(error) => {
            journal::warning(&error.to_string());
            return NAP;
        }
    };
    let outcome = match attempt(app, &row).await {
        Ok(()) => Outcome::Done,
        Err(outcome) => outcome,
    };
    let id = row.id;
    if let Err(error) =
        app.database.call(move |connection| finish(connection, id, &outcome, now())).await
    {
        journal::warning(&error.to_string());
    }
    Duration::ZERO
}

fn outcome(error: Error) -> Outcome {
    match error {
        Error::SignIn(_) => Outcome::SignedOut,
        Error::Refused { code, text: words } => {
            let words = text::visible_line(&words, 300);
            // 4xx of SMTP passes by itself.
            if code.starts_with('4') { Outcome::Later(words) } else { Outcome::Refused(words) }
        }
        Error::Unwritable(_) => Outcome::Refused(error.to_string()),
        other => Outcome::Later(text::visible_line(&other.to_string(), 300)),
    }
}

fn away(problem: Problem) -> Outcome {
    match problem {
        Problem::SignedOut => Outcome::SignedOut,
        Problem::NotFound => Outcome::Refused("the message is gone".into()),
        Problem::ServerAway => Outcome::Later("the mail server did not answer".into()),
        _ => Outcome::Later("the webmail made a mistake; its journal says more".into()),
    }
}

async fn attempt(app: &Arc<App>, row: &Row) -> Result<(), Outcome> {
    let key = key::read(&app.configuration.state).map_err(away)?;
    let session =
        Session::unsealed(app, &row.account, &row.sealed, &key).ok_or(Outcome::SignedOut)?;
    let mut imap = mailbox::connect(&session).await.map_err(away)?;
    let done = match row.new.kind {
        Kind::Send => send(&session, &mut imap, row).await,
        Kind::Return => give_back(&mut imap, row).await,
    };
    imap.close().await;
    done
}

/// The message of a row.
async fn find(imap: &mut imap::Session, row: &Row) -> Result<u32, Outcome> {
    let found = super::find(imap, &row.new.folder, &row.new.message_id).await.map_err(outcome)?;
    found.ok_or_else(|| Outcome::Refused("the message is gone".into()))
}

async fn send(session: &Session, imap: &mut imap::Session, row: &Row) -> Result<(), Outcome> {
    let uid = find(imap, row).await?;
    let largest = session.app.configuration.limits.message_bytes();
    let draft = imap.whole(uid, largest).await.map_err(|error| match error {
        Error::TooMuch { .. } => Outcome::Refused(format!(
            "the message has more than {} MB; take files out of the draft",
            largest / 1_000_000
        )),
        other => outcome(other),
    })?;
    let offset = layout::offset(&zone(session).await, now());
    let message = writing::for_sending(&draft, now(), offset)
        .map_err(|error| Outcome::Refused(error.to_string()))?;
    drop(draft);
    let envelope = smtp::Envelope {
        from: row.new.sender.clone(),
        to: row.new.recipients.clone(),
        delivery_notice: false,
    };
    let endpoint = session.app.configuration.server.submission.endpoint();
    let credentials = mailbox::credentials(session).await.map_err(away)?;
    let size = message.len() as u64;
    smtp::submit(&endpoint, None, &credentials, &envelope, size, &mut message.as_slice())
        .await
        .map_err(outcome)?;
    // From here on the message is out: what fails now must not send it again.
    if let Err(error) = file(imap, uid, &message).await {
        journal::warning(&format!("a sent message could not be filed: {error}"));
        let words = format!("the message was sent, but it could not be filed in Sent: {error}");
        return Err(Outcome::Unsure(text::visible_line(&words, 300)));
    }
    // Without the mark nothing is lost.
    if let Err(error) = mark(imap, &row.new.original).await {
        journal::warning(&format!("an answered message could not be marked: {error}"));
    }
    Ok(())
}

/// The zone that the message is dated in. Mail does not wait for a clock: UTC, if the preference can't be read.
async fn zone(session: &Session) -> TimeZone {
    let account = session.account.to_string();
    let read = move |connection: &mut rusqlite::Connection| time_zone(connection, &account);
    let name = session.app.database.call(read).await.unwrap_or_else(|error| {
        journal::warning(&error.to_string());
        None
    });
    name.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC)
}

/// The copy in Sent, the draft away.
async fn file(imap: &mut imap::Session, draft: u32, message: &[u8]) -> Result<(), Error> {
    let folders = imap.folders().await?;
    let sent = mailbox::special(imap, &folders, SpecialUse::Sent).await?;
    let size = message.len() as u64;
    imap.append(&sent, &["\\Seen"], size, &mut &*message).await?;
    imap.expunge(&[draft]).await
}

/// The mark at the message that was answered.
async fn mark(imap: &mut imap::Session, original: &str) -> Result<(), Error> {
    let mut words = original.splitn(3, ' ');
    if let (Some(flag @ ("\\Answered" | "$Forwarded")), Some(Ok(uid)), Some(folder)) =
        (words.next(), words.next().map(str::parse), words.next())
    {
        imap.select(folder).await?;
        imap.flag(&[uid], Change::Add, flag).await?;
    }
    Ok(())
}

/// Back to the inbox, unread.
async fn give_back(imap: &mut imap::Session, row: &Row) -> Result<(), Outcome> {
    let uid = find(imap, row).await?;
    imap.flag(&[uid], Change::Remove, "\\Seen").await.map_err(outcome)?;
    imap.move_to(&[uid], "INBOX").await.map_err(outcome)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_waits_says_why() {
        for problem in [Problem::ServerAway, Problem::Internal, Problem::TooMany { seconds: 9 }] {
            let found = away(problem);
            assert!(matches!(&found, Outcome::Later(words) if !words.is_empty()), "{found:?}");
        }
        assert_eq!(away(Problem::SignedOut), Outcome::SignedOut);
    }
}
