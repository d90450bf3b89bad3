//! `web.sqlite`: sessions, preferences, and what pages have to remember. No mail.
//!
//! Calls run on threads that may wait for the disk. Each module brings its own tables: a [`Step`] in [`STEPS`].

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::session;

/// A change of the schema; applied once, in order, known by its name.
pub(crate) struct Step {
    /// Never changed once released.
    pub(crate) name: &'static str,
    /// SQL.
    pub(crate) sql: &'static str,
}

/// All steps. Append; never change one that was released.
const STEPS: &[Step] = &[
    session::STEP,
    session::PREFERENCES,
    session::guesses::STEP,
    session::code::STEP,
    crate::outbox::STEP,
    crate::signatures::STEP,
];

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// SQLite says so.
    #[error("the database of the web unit: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file can't be made.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A thread ended in the middle.
    #[error(
        "the database of the web unit was left in the middle of a change; restart the web unit"
    )]
    Interrupted,
}

/// The open database.
#[derive(Debug, Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens `web.sqlite` in `directory`, which only we may read, and brings its tables up to date.
    pub(crate) fn open(directory: &Path) -> Result<Self, DatabaseError> {
        let path = directory.join("web.sqlite");
        let wrong = |source| DatabaseError::Open { path: path.display().to_string(), source };
        // Before SQLite does, with its own mode.
        let mut options = std::fs::OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&path).map_err(wrong)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        Self::prepare(Connection::open(&path)?)
    }

    fn prepare(connection: Connection) -> Result<Self, DatabaseError> {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512; PRAGMA busy_timeout = 5000;
             CREATE TABLE IF NOT EXISTS steps (name TEXT PRIMARY KEY) STRICT;",
        )?;
        let mut connection = connection;
        for step in STEPS {
            let change = connection.transaction()?;
            if change.execute("INSERT OR IGNORE INTO steps VALUES (?1)", [step.name])? == 1 {
                change.execute_batch(step.sql)?;
            }
            change.commit()?;
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// A database in memory.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::prepare(Connection::open_in_memory().unwrap()).unwrap()
    }

    /// Runs `work` where waiting is allowed.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let shared = Arc::clone(&self.0);
        let task = move || {
            let mut connection = shared.lock().map_err(|_| DatabaseError::Interrupted)?;
            work(&mut connection).map_err(DatabaseError::from)
        };
        tokio::task::spawn_blocking(task).await.map_err(|_| DatabaseError::Interrupted)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_ours_alone_and_steps_run_once() {
        let directory = std::env::temp_dir().join(format!("web-database-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for _ in 0..2 {
            let _ = Database::open(&directory).unwrap();
        }
        let mode = std::fs::metadata(directory.join("web.sqlite")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
