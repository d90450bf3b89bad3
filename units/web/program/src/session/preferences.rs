//! What an account's owner has chosen: short texts by name. Each page group knows its own names.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::database::Step;

/// The table.
pub(crate) const STEP: Step = Step {
    name: "preferences",
    sql: "CREATE TABLE preferences (
            account TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (account, name)
          ) STRICT, WITHOUT ROWID;",
};

/// All preferences of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Preferences(BTreeMap<String, String>);

impl Preferences {
    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Reads all of `account`.
pub(super) fn read(connection: &Connection, account: &str) -> rusqlite::Result<Preferences> {
    let mut select =
        connection.prepare_cached("SELECT name, value FROM preferences WHERE account = ?1")?;
    let rows = select.query_map([account], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect::<rusqlite::Result<_>>().map(Preferences)
}

/// Keeps one, or forgets it when `value` is empty.
pub(super) fn write(
    connection: &Connection,
    account: &str,
    name: &str,
    value: &str,
) -> rusqlite::Result<()> {
    if value.is_empty() {
        let delete = "DELETE FROM preferences WHERE account = ?1 AND name = ?2";
        connection.execute(delete, params![account, name])?;
    } else {
        let replace = "INSERT OR REPLACE INTO preferences VALUES (?1, ?2, ?3)";
        connection.execute(replace, params![account, name, value])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_each_account_its_own() {
        let database = crate::database::Database::in_memory();
        let found = database.call(|connection| {
            write(connection, "a@example.org", "language", "de")?;
            write(connection, "b@example.org", "language", "en")?;
            write(connection, "a@example.org", "density", "dense")?;
            write(connection, "a@example.org", "density", "")?;
            read(connection, "a@example.org")
        });
        let found = found.await.unwrap();
        assert_eq!(found.get("language"), Some("de"));
        assert_eq!(found.get("density"), None);
    }
}
