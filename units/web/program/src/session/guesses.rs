//! Wrong passwords cost time: more with each one, for the client that sent them and for the account they were for.
//!
//! Nobody can lock an account's owner out. A client that signed in before is not slowed down by what others try, and for all
//! others the delay that an account adds is bounded and does not add up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::client::Client;
use crate::database::{Database, DatabaseError, Step};
use crate::seal;

/// Clients that signed in to an account.
pub(crate) const STEP: Step = Step {
    name: "known clients",
    sql: "CREATE TABLE known_clients (id BLOB PRIMARY KEY, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
};

/// Wrong passwords are forgotten after so long.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// What the first of them costs; each further one twice as much.
const FIRST: Duration = Duration::from_millis(500);
/// Most that a client waits. Two at once wait one after the other.
const MOST_OF_CLIENT: Duration = Duration::from_secs(20);
/// Most that an account adds for clients it does not know.
const MOST_OF_ACCOUNT: Duration = Duration::from_secs(4);
/// A client that would wait longer than this is sent away.
const PATIENCE: Duration = Duration::from_secs(25);
/// Clients and accounts that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 8192;
/// A known client is forgotten after so many seconds.
const KNOWN: i64 = 60 * 86_400;

#[derive(Debug, Clone, Copy)]
struct Record {
    wrong: u32,
    last: Instant,
    /// When the next attempt may start.
    free: Instant,
}

/// Who guessed wrong lately.
#[derive(Debug)]
pub(crate) struct Guesses {
    database: Database,
    clients: Mutex<BTreeMap<u128, Record>>,
    accounts: Mutex<BTreeMap<[u8; 32], Record>>,
}

fn cost(wrong: u32, most: Duration) -> Duration {
    match wrong {
        0 => Duration::ZERO,
        _ => FIRST.saturating_mul(1 << (wrong - 1).min(16)).min(most),
    }
}

fn remember<K: Ord + Copy>(records: &mut BTreeMap<K, Record>, key: K, now: Instant) {
    if records.len() >= REMEMBERED {
        records.retain(|_, record| now.duration_since(record.last) < MEMORY);
        // A quarter at once, so that not each guess of a flood looks at all of them.
        let mut times: Vec<Instant> = records.values().map(|record| record.last).collect();
        times.sort_unstable();
        if let Some(oldest) = times.get(REMEMBERED / 4).filter(|_| times.len() >= REMEMBERED) {
            records.retain(|_, record| record.last > *oldest);
        }
    }
    let record = records.entry(key).or_insert(Record { wrong: 0, last: now, free: now });
    if now.duration_since(record.last) >= MEMORY {
        record.wrong = 0;
    }
    record.wrong = record.wrong.saturating_add(1);
    record.last = now;
}

fn account_key(account: &str) -> [u8; 32] {
    seal::derive("guessed account", account.as_bytes())
}

fn known_key(account: &str, client: Client) -> [u8; 32] {
    seal::derive("known client", format!("{account} {}", client.network()).as_bytes())
}

impl Guesses {
    /// Over `database`, where known clients are kept.
    pub(crate) fn new(database: Database) -> Self {
        Self { database, clients: Mutex::default(), accounts: Mutex::default() }
    }

    /// How long an attempt has to wait before the password is looked at; an error is how long the client should stay away.
    pub(crate) async fn delay(&self, account: &str, client: Client) -> Result<Duration, Duration> {
        let now = Instant::now();
        let of_client = self.turn(client, now)?;
        let wrong = {
            let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let record = accounts.get(&account_key(account)).copied();
            record.filter(|it| now.duration_since(it.last) < MEMORY).map_or(0, |it| it.wrong)
        };
        if wrong == 0 || self.knows(account, client).await.unwrap_or(false) {
            return Ok(of_client);
        }
        Ok(of_client.max(cost(wrong, MOST_OF_ACCOUNT)))
    }

    /// Takes the next turn of `client`: attempts of one client follow each other, they do not run side by side.
    fn turn(&self, client: Client, now: Instant) -> Result<Duration, Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = clients.get_mut(&client.network()) else { return Ok(Duration::ZERO) };
        if now.duration_since(record.last) >= MEMORY && record.free <= now {
            clients.remove(&client.network());
            return Ok(Duration::ZERO);
        }
        let start = record.free.max(now) + cost(record.wrong, MOST_OF_CLIENT);
        let wait = start.duration_since(now);
        if wait > PATIENCE {
            return Err(record.free.duration_since(now) + Duration::from_secs(1));
        }
        record.free = start;
        Ok(wait)
    }

    /// Counts a wrong password or code.
    pub(crate) fn wrong(&self, account: &str, client: Client) {
        let now = Instant::now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut clients, client.network(), now);
        drop(clients);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut accounts, account_key(account), now);
    }

    /// Forgets what `client` got wrong, and knows it from now on.
    pub(crate) async fn right(&self, account: &str, client: Client) -> Result<(), DatabaseError> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&client.network());
        let id = known_key(account, client);
        let write = move |connection: &mut Connection| {
            let now = super::store::now();
            connection.execute("DELETE FROM known_clients WHERE used < ?1", [now - KNOWN])?;
            connection
                .execute("INSERT OR REPLACE INTO known_clients VALUES (?1, ?2)", params![id, now])
        };
        self.database.call(write).await.map(|_| ())
    }

    async fn knows(&self, account: &str, client: Client) -> Result<bool, DatabaseError> {
        let id = known_key(account, client);
        let read = move |connection: &mut Connection| {
            let select = "SELECT EXISTS (SELECT 1 FROM known_clients WHERE id = ?1 AND used >= ?2)";
            connection.query_row(select, params![id, super::store::now() - KNOWN], |row| row.get(0))
        };
        self.database.call(read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client { address: address.parse().unwrap(), secure: true }
    }

    #[tokio::test]
    async fn a_guesser_waits_longer_each_time_and_is_sent_away() {
        let guesses = Guesses::new(Database::in_memory());
        let (mallory, account) = (client("192.0.2.66"), "alice@example.org");
        assert_eq!(guesses.delay(account, mallory).await, Ok(Duration::ZERO));
        let mut last = Duration::ZERO;
        for _ in 0..3 {
            guesses.wrong(account, mallory);
            let wait = guesses.delay(account, mallory).await.unwrap();
            assert!(wait > last, "{wait:?} after {last:?}");
            last = wait;
        }
        for number in 0..200_u8 {
            guesses.wrong(&format!("user{number}@example.org"), mallory);
        }
        let waits = [
            guesses.delay("b@example.org", mallory).await,
            guesses.delay("c@example.org", mallory).await,
        ];
        assert!(
            waits.iter().any(Result::is_err),
            "guesses side by side do not save time: {waits:?}"
        );
    }

    #[tokio::test]
    async fn strangers_lock_nobody_out() {
        let guesses = Guesses::new(Database::in_memory());
        let (alice, account) = (client("2001:db8::1"), "alice@example.org");
        guesses.right(account, alice).await.unwrap();
        for number in 0..1000_u32 {
            guesses.wrong(account, client(&std::net::Ipv4Addr::from(number).to_string()));
        }
        assert_eq!(
            guesses.delay(account, client("2001:db8::2")).await,
            Ok(Duration::ZERO),
            "her network is known"
        );
        let elsewhere = guesses.delay(account, client("198.51.100.7")).await.unwrap();
        assert_eq!(elsewhere, MOST_OF_ACCOUNT, "from elsewhere she waits, and gets in");
        assert_eq!(
            guesses.delay("bob@example.org", client("198.51.100.8")).await,
            Ok(Duration::ZERO)
        );
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let guesses = Guesses::new(Database::in_memory());
        for number in 0..10_000_u32 {
            guesses
                .wrong(&format!("{number}"), client(&std::net::Ipv4Addr::from(number).to_string()));
        }
        assert!(guesses.clients.lock().unwrap().len() <= REMEMBERED);
        assert!(guesses.accounts.lock().unwrap().len() <= REMEMBERED);
    }
}
