//! `serve`: the service. One thread takes messages, one answers the API, this one looks after
//! rules, quarantine and digest. It ends when it is told to; mail that is under way is deferred by
//! the mail server then.

use std::ffi::OsString;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::CommandError;
use crate::configuration::Configuration;
use crate::filter::{Counters, Filter};
use crate::milter::listener::{self, Room};
use crate::pool::{Pool, ScanError, Settings};
use crate::rules::{self, Folder};
use crate::{api, clock, digest, journal};

/// Most workers, however many processors there are: each has its rules in memory.
const MOST_WORKERS: usize = 4;
/// Messages of the largest size for which there is room at a time.
const LARGE_MESSAGES: u64 = 3;
/// How often the rules are looked at: cheap, and a rule against what is coming in now is urgent.
const RULES_EVERY: Duration = Duration::from_secs(5);
/// How often the quarantine is gone through.
const QUARANTINE_EVERY: Duration = Duration::from_secs(900);

pub(super) fn run(settings: &Configuration, worker: OsString) -> Result<(), CommandError> {
    let other = CommandError::Other;
    let folder = Folder::new(&settings.state);
    folder.prepare()?;
    let quarantine = settings.quarantine();
    quarantine.prepare()?;
    // One is kept for those who have signed in, so there are two at least.
    let workers = thread::available_parallelism().map_or(1, usize::from).clamp(2, MOST_WORKERS);
    let time = Duration::from_secs(settings.seconds);
    let pool = pool(&folder, &Settings { program: worker, most: workers, time })?;
    let filter = Arc::new(Filter {
        policies: settings.policies().map_err(other)?,
        on_failure: settings.on_failure,
        pool,
        clamd: settings.clamd().map_err(other)?,
        quarantine,
        counters: Counters::default(),
        host: settings.host.clone(),
    });
    listen(settings, &filter)?;
    journal::note(&format!("{workers} workers, listening on {}", settings.listen));
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    look_after(settings, &filter, &folder)
}

/// The workers. Rules that do not compile are left out rather than all mail deferred.
fn pool(folder: &Folder, settings: &Settings) -> Result<Pool, CommandError> {
    let files = folder.read()?;
    let failed = |error: ScanError| CommandError::Other(error.to_string());
    match Pool::new(settings.clone(), files.clone()) {
        Err(error) if !files.is_empty() => {
            journal::error(&format!("the rules do not compile: {error}"));
            // Compiled here, one by one, to find those that do: memory that only this case takes.
            let (sound, wrong) = rules::sound(files);
            for why in &wrong {
                journal::error(&format!("a file of rules is left out: {why}"));
            }
            Pool::new(settings.clone(), sound).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// Starts to serve the mail server and the API.
fn listen(settings: &Configuration, filter: &Arc<Filter>) -> Result<(), CommandError> {
    let failed = |what: String| move |error| CommandError::Other(format!("{what}: {error}"));
    let mail_server = TcpListener::bind(settings.listen)
        .map_err(failed(format!("cannot listen on {}", settings.listen)))?;
    let socket = api::listen(&settings.socket)
        .map_err(failed(format!("cannot listen on {}", settings.socket.display())))?;
    let room = Room {
        largest_message: settings.largest_message,
        bytes: settings.largest_message * LARGE_MESSAGES,
    };
    let judge = Arc::clone(filter);
    thread::spawn(move || listener::serve(&mail_server, &judge, room));
    let (judge, target) = (Arc::clone(filter), settings.target());
    thread::spawn(move || api::serve(&socket, &judge, &target));
    Ok(())
}

fn look_after(
    settings: &Configuration,
    filter: &Filter,
    folder: &Folder,
) -> Result<(), CommandError> {
    let mut known = folder.read().map(|files| rules::fingerprint(&files)).ok();
    let mut quarantine_at = Instant::now();
    loop {
        thread::sleep(RULES_EVERY);
        filter.pool.rest();
        known = reload(filter, folder, known);
        if quarantine_at <= Instant::now() {
            quarantine_at = Instant::now() + QUARANTINE_EVERY;
            tidy(settings, filter);
        }
    }
}

/// Takes changed rules over; returns what it has seen.
fn reload(filter: &Filter, folder: &Folder, known: Option<[u8; 32]>) -> Option<[u8; 32]> {
    let files = match folder.read() {
        Ok(files) => files,
        Err(error) => {
            if known.is_some() {
                journal::error(&format!("{error}; the rules stay as they are"));
            }
            return None;
        }
    };
    let seen = rules::fingerprint(&files);
    if known == Some(seen) {
        return known;
    }
    match filter.pool.change_rules(files) {
        Ok(()) => journal::note("changed rules are in use"),
        Err(error) => {
            journal::error(&format!("changed rules are not used, the old ones stay: {error}"))
        }
    }
    Some(seen)
}

fn tidy(settings: &Configuration, filter: &Filter) {
    match filter.quarantine.expire(SystemTime::now()) {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => journal::note(&format!("{} messages were kept long enough", gone.len())),
        Err(error) => journal::warn(&error.to_string()),
    }
    let Some(to) = &settings.digest_to else { return };
    let (quarantine, target) = (&filter.quarantine, settings.target());
    match digest::send(&settings.state, quarantine, &target, to, clock::now()) {
        Ok(true) => journal::note(&format!("the digest went to {to}")),
        Ok(false) => {}
        Err(error) => journal::warn(&error.to_string()),
    }
}
