// SPDX-License-Identifier: AGPL-3.0-only

//! Checking and repairing the database. In: the file of an SQLite database. Out: whether it is whole,
//! or a new file with every row that can still be read.
//!
//! The server's tables are keys and values, so a row means the same in another file. Rows are read by
//! ranges of their number; a range that can't be read is halved until what is damaged stands alone.

use std::error::Error;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ErrorCode, OpenFlags};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Lines of damage that are printed.
const LINES: usize = 20;

/// Ranges of one table that are tried at most. Each costs a search in the table.
const TRIES: u64 = 10_000_000;

/// The largest row number that is looked for when the table's end can't be read.
const FARTHEST: i64 = 1 << 32;

/// What was found in a table.
#[derive(Debug, Default)]
struct Salvaged {
    kept: u64,
    /// Ranges of row numbers that can't be read, each as small as could be found.
    lost: u64,
}

/// Reads every page of `file` and says what is damaged, at most [`LINES`] lines. Empty when it is whole.
/// The server may run meanwhile.
///
/// # Errors
///
/// A file that is no database, or that can't be read.
pub(crate) fn check(file: &Path) -> Outcome<Vec<String>> {
    let database = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = database.prepare(&format!("PRAGMA quick_check({LINES})"))?;
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => found.push(row.get::<_, String>(0)?),
            Ok(None) => break,
            // Damage that stops even the check is damage, not a failure to look.
            Err(error) if is_damage(&error) => {
                found.push(error.to_string());
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    found.retain(|line| line != "ok");
    Ok(found)
}

/// Copies every row of `file` that can be read into a new database and puts that in its place. The old
/// one stays beside it. Returns a line for each table, and where the old file is.
///
/// # Errors
///
/// A database that somebody has open, or no room for a second one. `file` is untouched then.
pub(crate) fn repair(file: &Path) -> Outcome<Vec<String>> {
    let old = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    alone(&old, file)?;
    let unfinished = beside(file, "repairing");
    remove(&unfinished)?;
    let mut report = copy(&old, &unfinished)?;
    drop(old);

    let owner = fs::metadata(file)?;
    chown(&unfinished, Some(owner.uid()), Some(owner.gid()))?;
    fs::set_permissions(&unfinished, owner.permissions())?;
    fs::File::open(&unfinished)?.sync_all()?;
    let kept = free_name(file);
    for suffix in ["-wal", "-shm"] {
        remove(&with(file, suffix))?;
    }
    fs::hard_link(file, &kept)?;
    fs::rename(&unfinished, file)?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder)?.sync_all()?;
    }
    report.push(format!("the old database is {}", kept.display()));
    Ok(report)
}

fn open(file: &Path, how: OpenFlags) -> Outcome<Connection> {
    let database = Connection::open_with_flags(file, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(database)
}

/// Takes the database for itself; the server keeps it open while it runs. What its log holds goes into
/// the file, as far as that can be done.
fn alone(database: &Connection, file: &Path) -> Outcome<()> {
    let taken = database
        .pragma_update(None, "locking_mode", "EXCLUSIVE")
        .and_then(|()| database.execute_batch("BEGIN EXCLUSIVE; COMMIT"));
    match taken {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Err(format!(
            "{} is in use; stop the mail server first: systemctl stop mail-server.service",
            file.display()
        )
        .into()),
        Err(error) if !is_damage(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

fn copy(old: &Connection, target: &Path) -> Outcome<Vec<String>> {
    let mut new = Connection::open(target)?;
    let page_size: i64 = old.pragma_query_value(None, "page_size", |row| row.get(0))?;
    new.pragma_update(None, "page_size", page_size)?;
    let tables = old
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    let mut report = Vec::new();
    for (table, create) in tables {
        let transaction = new.transaction()?;
        transaction.execute_batch(&create)?;
        let salvaged = salvage(old, &transaction, &quoted(&table))?;
        transaction.commit()?;
        report.push(format!(
            "table {table}: {} rows kept, {} places can't be read",
            salvaged.kept, salvaged.lost
        ));
    }
    new.pragma_update(None, "journal_mode", "WAL")?;
    new.close().map_err(|(_, error)| error)?;
    Ok(report)
}

/// Copies what can be read of `table`, widest ranges first.
fn salvage(old: &Connection, new: &Connection, table: &str) -> Outcome<Salvaged> {
    let mut salvaged = Salvaged::default();
    let last = old
        .query_row(&format!("SELECT max(rowid) FROM {table}"), [], |row| row.get::<_, Option<i64>>(0))
        .map_or(Some(FARTHEST), |last| last);
    let Some(last) = last else { return Ok(salvaged) };
    let mut ranges = vec![(1, last)];
    let mut tries = 0;
    while let Some((from, to)) = ranges.pop() {
        tries += 1;
        match copy_range(old, new, table, (from, to), &mut salvaged.kept) {
            Ok(()) => {}
            Err(error) if !is_damage(&error) => return Err(error.into()),
            Err(_) if from < to && tries < TRIES => {
                let middle = from + (to - from) / 2;
                ranges.extend([(middle + 1, to), (from, middle)]);
            }
            Err(_) => salvaged.lost += 1,
        }
    }
    Ok(salvaged)
}

/// Copies the rows of a range, and counts them. Those before the damage are copied too; when the range is
/// halved they come again, and a key that is there already is passed over.
fn copy_range(
    old: &Connection,
    new: &Connection,
    table: &str,
    (from, to): (i64, i64),
    kept: &mut u64,
) -> rusqlite::Result<()> {
    // Not by the index of keys, which may be damaged on its own.
    let select = format!("SELECT * FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ?");
    let mut select = old.prepare_cached(&select)?;
    let columns = select.column_count();
    let places = vec!["?"; columns].join(", ");
    let mut insert = new.prepare_cached(&format!("INSERT OR IGNORE INTO {table} VALUES ({places})"))?;
    let mut rows = select.query([from, to])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            insert.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
        }
        *kept += insert.raw_execute()? as u64;
    }
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
    )
}

/// An SQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `mail.sqlite` and `repairing` make `mail.sqlite.repairing`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    with(file, &format!(".{suffix}"))
}

fn with(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where the damaged file goes: nothing of an earlier repair is overwritten.
fn free_name(file: &Path) -> PathBuf {
    (1_u32..)
        .map(|number| beside(file, &format!("damaged-{number}")))
        .find(|name| !name.exists())
        .unwrap_or_else(|| beside(file, "damaged"))
}

/// Removes a file that need not be there.
fn remove(file: &Path) -> Outcome<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", file.display()).into())
        }
        _ => Ok(()),
    }
}
