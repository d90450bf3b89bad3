//! The workers: child processes that look into messages, one message each at a time.
//!
//! In: messages. Out: reports, or why there is none. A decoder for a hostile format can hang,
//! crash or swell; where it does, it takes a worker along and nothing else. The pool kills a worker
//! at its deadline and starts another, so that no message runs longer than its limit whatever is
//! in it. The worker itself keeps limits on the memory it may use ([`crate::worker`]).

mod child;
mod share;
pub mod wire;

use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mailkiln_inspect::Report;

use crate::journal;
use child::Child;
use share::Share;

/// How long a message may wait for a worker before its sender is asked to come back. A mail
/// server that hears "later" does; one that waits keeps a connection open on both sides.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// How long an unused worker beyond the first one stays.
const IDLE: Duration = Duration::from_secs(30);

/// How workers are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The program; it is started with the argument `worker`.
    pub program: OsString,
    /// How many there may be at a time.
    pub most: usize,
    /// How long one message may take, with half a second for the way there and back.
    pub time: Duration,
}

/// Why a message could not be looked into. None of these is a finding: the same message may pass
/// at the next attempt.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ScanError {
    /// Every worker is taken.
    #[error("every worker is busy")]
    Busy,
    /// The same message took too long a short while ago, or its client has sent several such.
    #[error("{0}")]
    Slow(&'static str),
    /// No worker can be started.
    #[error("no worker starts: {0}")]
    Start(String),
    /// The worker ended in the middle.
    #[error("the worker ended in the middle of the message ({0})")]
    Died(String),
    /// The worker was killed at the deadline.
    #[error("the message took longer than {0:?}")]
    Time(Duration),
}

/// Texts of malware rules by file name, beyond those that are built in.
pub type RuleFiles = Vec<(String, String)>;

/// The workers and the rules that new ones get.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rules: Arc<RuleFiles>,
    /// Counts the changes of the rules; a worker of an older generation takes no more messages.
    generation: u64,
    idle: Vec<Child>,
    busy: usize,
    /// Who waits and works, and what was slow.
    share: Share,
}

impl Pool {
    /// A pool whose workers know the built-in rules and `rules`, with one worker running.
    ///
    /// # Errors
    /// [`ScanError::Start`] when it does not start, also because of a wrong rule.
    pub fn new(settings: Settings, rules: RuleFiles) -> Result<Self, ScanError> {
        let state = State { rules: Arc::new(rules), ..State::default() };
        let pool = Self { settings, state: Mutex::new(state), freed: Condvar::new() };
        let first = Child::start(&pool.settings, &pool.lock().rules.clone(), 0)?;
        pool.lock().idle.push(first);
        Ok(pool)
    }

    /// A thread that panicked left the lists as they are: each change of them is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `rules` for every message from now on. What does not compile changes nothing.
    ///
    /// # Errors
    /// [`ScanError::Start`] with what the compiler says.
    pub fn change_rules(&self, rules: RuleFiles) -> Result<(), ScanError> {
        let generation = self.lock().generation + 1;
        // The proof that they compile is the first worker that has them.
        let first = Child::start(&self.settings, &rules, generation)?;
        let mut state = self.lock();
        state.rules = Arc::new(rules);
        state.generation = generation;
        state.idle.clear();
        state.idle.push(first);
        Ok(())
    }

    /// Looks into a message. `client` is the address of a stranger; those who have signed in have
    /// none here, and a worker that strangers can't take.
    ///
    /// # Errors
    /// [`ScanError`] when no worker could do it; a worker that failed is gone by then.
    pub fn scan(&self, message: &[u8], client: Option<&str>) -> Result<Report, ScanError> {
        let digest = share::digest(message);
        self.lock().share.enter(client, digest, Instant::now())?;
        let result = self.take(client.is_some()).and_then(|mut child| {
            let result = child.scan(message, self.settings.time);
            let mut state = self.lock();
            state.busy -= 1;
            match &result {
                Ok(_) if child.generation == state.generation => state.idle.push(child),
                Ok(_) => {}
                Err(error) => journal::warn(&format!("{error}; the worker is replaced")),
            }
            result
        });
        let is_slow = matches!(result, Err(ScanError::Time(_) | ScanError::Died(_)));
        self.lock().share.leave(client, digest, is_slow, Instant::now());
        // Those who wait wait for different things: each looks for itself.
        self.freed.notify_all();
        result
    }

    /// A worker for one message.
    fn take(&self, is_stranger: bool) -> Result<Child, ScanError> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let most = if is_stranger {
            self.settings.most.saturating_sub(1).max(1)
        } else {
            self.settings.most
        };
        let mut state = self.lock();
        while state.busy >= most {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ScanError::Busy);
            }
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.busy += 1;
        if let Some(child) = state.idle.pop() {
            return Ok(child);
        }
        let (rules, generation) = (Arc::clone(&state.rules), state.generation);
        drop(state);
        Child::start(&self.settings, &rules, generation).inspect_err(|_| {
            self.lock().busy -= 1;
            self.freed.notify_all();
        })
    }

    /// Ends workers that nobody needed for a while, but for one. To be called now and then.
    pub fn rest(&self) {
        let mut state = self.lock();
        while state.idle.len() > 1
            && state.idle.first().is_some_and(|child| child.last_used.elapsed() > IDLE)
        {
            state.idle.remove(0);
        }
    }

    /// Workers that are looking into a message, and those that wait for one.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.busy, state.idle.len())
    }
}
