//! The signatures of an account: one for each address that it writes from, and one for those that have none of their own.
//!
//! Not among the preferences: these are read with every page, and a signature can have images.

use mailkiln_letter::writing::Signature;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::Step;
use crate::problem::Problem;
use crate::session::Session;

/// The table. Before it there was one plain signature, a preference. `address` is empty for the common one, `html` for a plain one.
pub(crate) const STEP: Step = Step {
    name: "signatures",
    sql: "CREATE TABLE signatures (
            account TEXT NOT NULL, address TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, PRIMARY KEY (account, address)
          ) STRICT, WITHOUT ROWID;
          INSERT INTO signatures SELECT account, '', value, '' FROM preferences WHERE name = 'signature';
          DELETE FROM preferences WHERE name = 'signature';",
};

/// The address of the common signature.
pub(crate) const COMMON: &str = "";

/// The signature that is kept for exactly this address.
pub(crate) async fn kept(session: &Session, address: &str) -> Result<Option<Signature>, Problem> {
    let (account, address) = (session.account.to_string(), address.to_lowercase());
    let read = move |connection: &mut Connection| read(connection, &account, &address);
    Ok(session.app.database.call(read).await?)
}

/// The signature below messages from this address.
pub(crate) async fn of(session: &Session, address: &str) -> Result<Signature, Problem> {
    if let Some(own) = kept(session, address).await? {
        return Ok(own);
    }
    Ok(kept(session, COMMON).await?.unwrap_or_default())
}

/// Keeps one. An empty one is forgotten.
pub(crate) async fn keep(
    session: &Session,
    address: &str,
    signature: Signature,
) -> Result<(), Problem> {
    let (account, address) = (session.account.to_string(), address.to_lowercase());
    let write =
        move |connection: &mut Connection| write(connection, &account, &address, &signature);
    Ok(session.app.database.call(write).await?)
}

fn read(
    connection: &Connection,
    account: &str,
    address: &str,
) -> rusqlite::Result<Option<Signature>> {
    let select = "SELECT text, html FROM signatures WHERE account = ?1 AND address = ?2";
    let mut select = connection.prepare_cached(select)?;
    let found = select.query_row([account, address], |row| Ok((row.get(0)?, row.get(1)?)));
    let found: Option<(String, String)> = found.optional()?;
    Ok(found.map(|(text, html)| Signature { text, html: Some(html).filter(|it| !it.is_empty()) }))
}

fn write(
    connection: &Connection,
    account: &str,
    address: &str,
    signature: &Signature,
) -> rusqlite::Result<()> {
    if *signature == Signature::default() {
        let delete = "DELETE FROM signatures WHERE account = ?1 AND address = ?2";
        connection.execute(delete, [account, address])?;
        return Ok(());
    }
    let replace = "INSERT OR REPLACE INTO signatures VALUES (?1, ?2, ?3, ?4)";
    let html = signature.html.as_deref().unwrap_or_default();
    connection.execute(replace, params![account, address, signature.text, html])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str, html: Option<&str>) -> Signature {
        Signature { text: text.to_owned(), html: html.map(str::to_owned) }
    }

    #[tokio::test]
    async fn of_each_account_and_address_its_own() {
        let database = crate::database::Database::in_memory();
        let rich = signature("Ann", Some("<b>Ann</b>"));
        let kept = rich.clone();
        let found = database.call(move |connection| {
            write(connection, "a@example.org", COMMON, &signature("A", None))?;
            write(connection, "a@example.org", "sales@example.org", &kept)?;
            write(connection, "b@example.org", COMMON, &signature("B", None))?;
            write(connection, "b@example.org", COMMON, &Signature::default())?;
            let read = |account, address| read(connection, account, address);
            Ok([
                read("a@example.org", COMMON)?,
                read("a@example.org", "sales@example.org")?,
                read("b@example.org", COMMON)?,
                read("b@example.org", "sales@example.org")?,
            ])
        });
        assert_eq!(found.await.unwrap(), [Some(signature("A", None)), Some(rich), None, None]);
    }

    #[test]
    fn the_plain_one_of_before_is_kept() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::session::PREFERENCES.sql).unwrap();
        let rows = "INSERT INTO preferences VALUES ('a@b.example', 'signature', 'Ann'), ('a@b.example', 'name', 'Ann')";
        connection.execute_batch(rows).unwrap();
        connection.execute_batch(STEP.sql).unwrap();
        assert_eq!(read(&connection, "a@b.example", COMMON).unwrap(), Some(signature("Ann", None)));
        let left: i64 =
            connection.query_row("SELECT count(*) FROM preferences", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1);
    }
}
