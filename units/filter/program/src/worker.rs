//! A worker: reads messages from its standard input, a socket, and says what is in each.
//!
//! It opens no file and no connection, and [`crate::confine`] sees to it that it can't. The memory it may take is limited before the first message,
//! so that what a decoder takes beyond that fails here, in a process that is replaced, and not in
//! the one that has everybody's mail.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mailkiln_inspect::{Limits, Rules, inspect};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::pool::wire::{self, Reply, Start, WireReport};

/// Bytes of memory that a worker may have for itself: four times the largest message, what one
/// part may unpack to, rules and their engine.
const MEMORY: u64 = 512 << 20;

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its socket broke.
    #[error("the worker's standard input is not the filter's socket ({0}); use `serve` instead")]
    Socket(#[from] io::Error),
    /// It can't be locked in.
    #[error(transparent)]
    Confine(#[from] crate::confine::ConfineError),
    /// The limits of this process can't be set.
    #[error("cannot limit the worker's memory: {0}")]
    Limit(#[from] rustix::io::Errno),
}

/// Works until the filter hangs up.
///
/// # Errors
/// [`WorkerError`] when the socket breaks, or is none.
pub fn run() -> Result<(), WorkerError> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Data, limit(MEMORY))?;
    // What a message held must not lie about as a core file.
    setrlimit(Resource::Core, limit(0))?;
    let mut bytes = Vec::new();
    if !wire::read_bytes(&mut socket, &mut bytes)? {
        return Ok(());
    }
    let start: Start = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
    let rules = match compile(&start.rules) {
        Ok(rules) => rules,
        Err(why) => return Ok(wire::write_json(&mut socket, &Reply::Refused { why })?),
    };
    drop(bytes);
    crate::confine::confine()?;
    wire::write_json(&mut socket, &Reply::Ready)?;
    let time = Duration::from_millis(u64::try_from(start.milliseconds).unwrap_or(u64::MAX));
    let limits = Limits { time, ..Limits::default() };
    let mut message = Vec::new();
    while wire::read_bytes(&mut socket, &mut message)? {
        let report = inspect(&message, &limits, &rules, Instant::now() + time);
        wire::write_json(&mut socket, &Reply::Report(WireReport::from(&report)))?;
        // A worker that waits holds no message, and no memory for the largest it ever had.
        message = Vec::new();
    }
    Ok(())
}

/// The built-in rules and those of files.
///
/// # Errors
/// What the compiler says, with the file's name.
pub fn compile(files: &[(String, String)]) -> Result<Rules, String> {
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Rules::compile(&files).map_err(|error| error.to_string())
}
