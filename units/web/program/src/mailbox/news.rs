//! What changes in an account while its owner looks: one connection for all pages of the account, which waits (IDLE).
//!
//! Without an open folder our server tells the counters of every folder that changes. Another server tells nothing then, so
//! INBOX is opened there, and the others are counted each minute.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailkiln_servers::imap::{self, Counters, Response};
use mailkiln_servers::{Error, Result};
use tokio::sync::broadcast;

use crate::journal;
use crate::problem::Problem;
use crate::session::Session;

/// Pages of one account that are told news at the same time.
const PAGES: usize = 12;
/// News that a slow page may be behind.
const BEHIND: usize = 64;
/// A connection that only waits is begun anew after so long: servers and networks forget it otherwise.
const RENEW: Duration = Duration::from_secs(1200);
/// How long one wait takes, seconds.
const WAIT: u64 = 60;

/// A folder that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// Its name as the server writes it.
    pub(crate) folder: String,
    /// What is in it now.
    pub(crate) counters: Counters,
}

type Sender = broadcast::Sender<News>;

/// All accounts that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watches(Arc<Mutex<BTreeMap<Arc<str>, Sender>>>);

/// News for one page. The connection ends with the last page.
#[derive(Debug)]
pub(crate) struct Watch(pub(crate) broadcast::Receiver<News>);

impl Watches {
    pub(super) fn watch(&self, session: &Session) -> std::result::Result<Watch, Problem> {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watches.get(&session.account) {
            if sender.receiver_count() >= PAGES {
                return Err(Problem::TooMany { seconds: 60 });
            }
            return Ok(Watch(sender.subscribe()));
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        watches.insert(Arc::clone(&session.account), sender.clone());
        let (all, session) = (Arc::clone(&self.0), session.clone());
        tokio::spawn(async move {
            if let Err(error) = until_nobody_listens(&session, &sender).await {
                journal::warning(&format!("news: {error}"));
            }
            let mut watches = all.lock().unwrap_or_else(PoisonError::into_inner);
            // Who came in the meantime sees the end of the channel and asks again.
            watches.remove(&session.account);
        });
        Ok(Watch(receiver))
    }
}

async fn until_nobody_listens(session: &Session, sender: &Sender) -> Result<()> {
    while sender.receiver_count() > 0 {
        let Ok(connection) = super::connect(session).await else {
            return Err(Error::Closed { step: "news" });
        };
        let mut connection = connection;
        let waited = tokio::time::timeout(RENEW, wait(&mut connection, sender)).await;
        match waited {
            Ok(result) => return result,
            Err(_) => drop(connection),
        }
    }
    Ok(())
}

async fn wait(connection: &mut imap::Session, sender: &Sender) -> Result<()> {
    // JMAPACCESS names our server's kind, whose IDLE tells of all folders.
    let tells_all = connection.can("JMAPACCESS");
    let mut known = BTreeMap::new();
    if !tells_all {
        known = counted(connection).await?;
        connection.select("INBOX").await?;
    }
    connection.begin_idle().await?;
    while sender.receiver_count() > 0 {
        let news = connection.news(WAIT).await?;
        if let Some(Response::Counters(folder, counters)) = news {
            // Nobody may be there any more; the loop sees that.
            let _ = sender.send(News { folder, counters });
        } else if !tells_all {
            connection.end_idle().await?;
            let now = counted(connection).await?;
            for (folder, counters) in &now {
                if known.get(folder) != Some(counters) {
                    let _ = sender.send(News { folder: folder.clone(), counters: *counters });
                }
            }
            known = now;
            connection.begin_idle().await?;
        }
    }
    Ok(())
}

async fn counted(connection: &mut imap::Session) -> Result<BTreeMap<String, Counters>> {
    let folders = connection.counted_folders().await?;
    Ok(folders.into_iter().map(|folder| (folder.wire, folder.counters)).collect())
}
