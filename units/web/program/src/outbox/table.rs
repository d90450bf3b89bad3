//! The table of what happens later.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::Step;
use crate::layout::TIME_ZONE;

/// The table. `state`: see [`State`]. `original` and `answer` say which message gets `\Answered` or `$Forwarded` afterwards.
pub(crate) const STEP: Step = Step {
    name: "outbox",
    sql: "CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, sealed BLOB NOT NULL,
            kind TEXT NOT NULL, state TEXT NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
            folder TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL,
            sender TEXT NOT NULL, recipients TEXT NOT NULL, original TEXT NOT NULL, words TEXT NOT NULL DEFAULT ''
          ) STRICT;
          CREATE INDEX outbox_due ON outbox (state, due);",
};

/// Rows of one account.
const PER_ACCOUNT: i64 = 200;
/// Seconds until the next try, after the first, second, … failure that may pass by itself: 3 hours and 43 minutes in all, which
/// docs/web.md says too.
const PAUSES: [i64; 6] = [30, 120, 600, 1800, 3600, 7200];

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A draft is sent.
    Send,
    /// A message comes back to the inbox.
    Return,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its time has not come, or the server was away.
    Waiting,
    /// Its owner has to sign in first.
    SignedOut,
    /// The server is being told.
    Working,
    /// The message was sent but not filed, or this program ended in the middle: it is not sent again by itself.
    Unsure,
    /// The server refused; its words are in the row.
    Failed,
    /// It was tried often enough; what hindered it last is in the row.
    GivenUp,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Return => "return",
        }
    }
}

impl State {
    fn read(text: &str) -> Self {
        match text {
            "waiting" => Self::Waiting,
            "signed-out" => Self::SignedOut,
            "working" => Self::Working,
            "unsure" => Self::Unsure,
            "given-up" => Self::GivenUp,
            _ => Self::Failed,
        }
    }
}

/// What is entered.
#[derive(Debug, Clone)]
pub(crate) struct New {
    /// What happens.
    pub(crate) kind: Kind,
    /// When: seconds since 1970.
    pub(crate) due: i64,
    /// Where the message lies, as the server writes the folder.
    pub(crate) folder: String,
    /// Its Message-ID, by which it is found even if its UID has changed.
    pub(crate) message_id: String,
    /// For the page.
    pub(crate) subject: String,
    /// Envelope sender.
    pub(crate) sender: String,
    /// Envelope recipients.
    pub(crate) recipients: Vec<String>,
    /// `$Forwarded UID FOLDER` or `\Answered UID FOLDER` of the message that is answered; or nothing.
    pub(crate) original: String,
}

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its number.
    pub(crate) id: i64,
    /// Whose it is.
    pub(crate) account: String,
    /// Opens the account.
    pub(crate) sealed: Vec<u8>,
    /// How far it is.
    pub(crate) state: State,
    /// What was entered.
    pub(crate) new: New,
    /// What the server said.
    pub(crate) words: String,
}

const COLUMNS: &str = "id, account, sealed, kind, state, due, folder, message_id, subject, sender, recipients, original, words";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let kind: String = row.get(3)?;
    let state: String = row.get(4)?;
    let recipients: String = row.get(10)?;
    Ok(Row {
        id: row.get(0)?,
        account: row.get(1)?,
        sealed: row.get(2)?,
        state: State::read(&state),
        new: New {
            kind: if kind == "send" { Kind::Send } else { Kind::Return },
            due: row.get(5)?,
            folder: row.get(6)?,
            message_id: row.get(7)?,
            subject: row.get(8)?,
            sender: row.get(9)?,
            recipients: recipients.lines().map(str::to_owned).collect(),
            original: row.get(11)?,
        },
        words: row.get(12)?,
    })
}

/// Enters a row; `None` if the account has too many.
pub(crate) fn add(
    connection: &mut Connection,
    account: &str,
    new: &New,
    sealed: &[u8],
) -> rusqlite::Result<Option<i64>> {
    let change = connection.transaction()?;
    let count: i64 =
        change.query_row("SELECT count(*) FROM outbox WHERE account = ?1", [account], |row| {
            row.get(0)
        })?;
    if count >= PER_ACCOUNT {
        return Ok(None);
    }
    change.execute(
        "INSERT INTO outbox (account, sealed, kind, state, due, folder, message_id, subject, sender, recipients, original)
         VALUES (?1, ?2, ?3, 'waiting', ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            account, sealed, new.kind.text(), new.due, new.folder, new.message_id, new.subject, new.sender,
            new.recipients.join("\n"), new.original
        ],
    )?;
    let id = change.last_insert_rowid();
    change.commit()?;
    Ok(Some(id))
}

/// The rows of an account, next first.
pub(crate) fn list(connection: &mut Connection, account: &str) -> rusqlite::Result<Vec<Row>> {
    let mut select = connection
        .prepare(&format!("SELECT {COLUMNS} FROM outbox WHERE account = ?1 ORDER BY due, id"))?;
    select.query_map([account], row)?.collect()
}

/// Takes a row of this account out, unless the server is being told right now.
pub(crate) fn cancel(
    connection: &mut Connection,
    account: &str,
    id: i64,
) -> rusqlite::Result<Option<Row>> {
    let change = connection.transaction()?;
    let select = format!(
        "SELECT {COLUMNS} FROM outbox WHERE id = ?1 AND account = ?2 AND state <> 'working'"
    );
    let found = change.query_row(&select, params![id, account], row).optional()?;
    if found.is_some() {
        change.execute("DELETE FROM outbox WHERE id = ?1", [id])?;
    }
    change.commit()?;
    Ok(found)
}

/// Rows that waited for their owner go on with this session, and have all their tries again.
pub(crate) fn revive(
    connection: &mut Connection,
    account: &str,
    sealed: &[u8],
) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE outbox SET state = 'waiting', tries = 0, sealed = ?2 WHERE account = ?1 AND state = 'signed-out'",
        params![account, sealed],
    )
}

/// The time zone that an account's owner has chosen; the sealed session of a row brings no preferences along.
pub(super) fn time_zone(
    connection: &mut Connection,
    account: &str,
) -> rusqlite::Result<Option<String>> {
    let select = "SELECT value FROM preferences WHERE account = ?1 AND name = ?2";
    connection.query_row(select, params![account, TIME_ZONE], |row| row.get(0)).optional()
}

/// Takes the next row that is due, so that nobody else does, or says when the next one is.
pub(crate) fn claim(
    connection: &mut Connection,
    now: i64,
) -> rusqlite::Result<Result<Row, Option<i64>>> {
    let change = connection.transaction()?;
    let select =
        format!("SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' ORDER BY due, id LIMIT 1");
    let next = match change.query_row(&select, [], row).optional()? {
        None => Err(None),
        Some(next) if next.new.due > now => Err(Some(next.new.due)),
        Some(next) => {
            change.execute(
                "UPDATE outbox SET state = 'working', tries = tries + 1 WHERE id = ?1",
                [next.id],
            )?;
            Ok(next)
        }
    };
    change.commit()?;
    Ok(next)
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done.
    Done,
    /// The owner has to sign in.
    SignedOut,
    /// It may work later.
    Later(String),
    /// It was refused.
    Refused(String),
    /// It is out, but what comes after that failed: it must not be sent again.
    Unsure(String),
}

/// Writes down how a try ended.
pub(super) fn finish(
    connection: &mut Connection,
    id: i64,
    outcome: &Outcome,
    now: i64,
) -> rusqlite::Result<usize> {
    let set = "UPDATE outbox SET state = ?2, words = ?3 WHERE id = ?1";
    match outcome {
        Outcome::Done => connection.execute("DELETE FROM outbox WHERE id = ?1", [id]),
        Outcome::SignedOut => connection.execute(set, params![id, "signed-out", ""]),
        Outcome::Refused(words) => connection.execute(set, params![id, "failed", words]),
        Outcome::Unsure(words) => connection.execute(set, params![id, "unsure", words]),
        Outcome::Later(words) => {
            let tries: usize =
                connection.query_row("SELECT tries FROM outbox WHERE id = ?1", [id], |row| {
                    row.get::<_, i64>(0).map(|tries| usize::try_from(tries).unwrap_or(usize::MAX))
                })?;
            match PAUSES.get(tries.saturating_sub(1)) {
                Some(pause) => connection.execute(
                    "UPDATE outbox SET state = 'waiting', due = ?2, words = ?3 WHERE id = ?1",
                    params![id, now + pause, words],
                ),
                None => connection.execute(set, params![id, "given-up", words]),
            }
        }
    }
}

/// What this program left in the middle when it ended: a message may be on its way; a return is done again.
pub(super) fn recover(connection: &mut Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE outbox SET state = 'waiting' WHERE state = 'working' AND kind = 'return'",
        [],
    )?;
    connection.execute("UPDATE outbox SET state = 'unsure' WHERE state = 'working'", [])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    fn new(due: i64) -> New {
        New {
            kind: Kind::Send,
            due,
            folder: "Drafts".into(),
            message_id: "1@a.example".into(),
            subject: "Tea".into(),
            sender: "ann@a.example".into(),
            recipients: vec!["bob@b.example".into(), "cat@c.example".into()],
            original: "\\Answered 7 INBOX".into(),
        }
    }

    #[tokio::test]
    async fn rows_survive_a_restart_and_nothing_is_sent_twice() {
        let directory = std::env::temp_dir().join(format!("web-outbox-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let database = Database::open(&directory).unwrap();
        let entered = database.call(|connection| {
            let first = add(connection, "ann@a.example", &new(100), b"s")?;
            add(connection, "ann@a.example", &new(200), b"s")?;
            Ok((
                first,
                claim(connection, 99)?.map(|row| row.id),
                claim(connection, 150)?.map(|row| row.new.recipients),
            ))
        });
        let (first, early, claimed) = entered.await.unwrap();
        assert_eq!(early, Err(Some(100)), "not before its time");
        assert_eq!(claimed, Ok(vec!["bob@b.example".to_owned(), "cat@c.example".to_owned()]));
        drop(database);
        let database = Database::open(&directory).unwrap();
        let after = database.call(move |connection| {
            recover(connection)?;
            let states: Vec<(i64, State)> =
                list(connection, "ann@a.example")?.iter().map(|row| (row.id, row.state)).collect();
            let next = claim(connection, 1000)?.map(|row| row.new.due);
            Ok((states, next, claim(connection, 1000)?.map(|row| row.id)))
        });
        let (states, next, none) = after.await.unwrap();
        assert_eq!(
            states[0],
            (first.unwrap(), State::Unsure),
            "what may have been sent is not sent again"
        );
        assert_eq!((next, none), (Ok(200), Err(None)));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn what_was_sent_but_not_filed_is_not_sent_again() {
        let database = Database::in_memory();
        let found = database.call(|connection| {
            add(connection, "ann@a.example", &new(0), b"s")?;
            let row = claim(connection, 1)?.unwrap();
            finish(connection, row.id, &Outcome::Unsure("not filed".into()), 1)?;
            revive(connection, "ann@a.example", b"new")?;
            let again = claim(connection, 100_000)?.is_ok();
            let row = list(connection, "ann@a.example")?.remove(0);
            Ok((again, row.state, row.words))
        });
        assert_eq!(found.await.unwrap(), (false, State::Unsure, "not filed".to_owned()));
    }

    #[tokio::test]
    async fn a_message_is_dated_by_the_clock_of_its_account() {
        let database = Database::in_memory();
        let found = database.call(|connection| {
            connection.execute(
                "INSERT INTO preferences VALUES ('ann@a.example', 'time-zone', 'Asia/Tokyo')",
                [],
            )?;
            Ok((time_zone(connection, "ann@a.example")?, time_zone(connection, "eve@e.example")?))
        });
        assert_eq!(found.await.unwrap(), (Some("Asia/Tokyo".to_owned()), None));
    }

    #[tokio::test]
    async fn only_its_owner_can_stop_it_and_not_while_it_is_sent() {
        let database = Database::in_memory();
        let found = database.call(|connection| {
            let id = add(connection, "ann@a.example", &new(0), b"s")?.unwrap_or(0);
            let foreign = cancel(connection, "eve@e.example", id)?.is_some();
            let row = claim(connection, 1)?.unwrap();
            let during = cancel(connection, "ann@a.example", id)?.is_some();
            finish(connection, row.id, &Outcome::Later("busy".into()), 1)?;
            let later = list(connection, "ann@a.example")?[0].new.due;
            let own = cancel(connection, "ann@a.example", id)?.is_some();
            Ok((foreign, during, later, own, list(connection, "ann@a.example")?.len()))
        });
        assert_eq!(found.await.unwrap(), (false, false, 31, true, 0));
    }

    #[tokio::test]
    async fn it_waits_for_its_owner_and_then_gives_up_after_seven_tries() {
        let database = Database::in_memory();
        let found = database.call(|connection| {
            let id = add(connection, "ann@a.example", &new(0), b"old")?.unwrap_or(0);
            claim(connection, 1)?.unwrap();
            finish(connection, id, &Outcome::SignedOut, 1)?;
            let waits = claim(connection, 1000)?.is_err();
            let others = revive(connection, "eve@e.example", b"evil")?;
            revive(connection, "ann@a.example", b"new")?;
            let (mut now, mut tries) = (10, 0);
            loop {
                match claim(connection, now)? {
                    Ok(row) => {
                        assert_eq!(row.sealed, b"new");
                        tries += 1;
                        finish(connection, row.id, &Outcome::Later("away".into()), now)?;
                    }
                    Err(Some(due)) => now = due,
                    Err(None) => break,
                }
            }
            Ok((waits, others, tries, now - 10, list(connection, "ann@a.example")?[0].state))
        });
        let seconds = 3 * 3600 + 42 * 60 + 30;
        assert_eq!(found.await.unwrap(), (true, 0, 7, seconds, State::GivenUp));
    }
}
