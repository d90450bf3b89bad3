//! One worker, seen from the pool: a child process and the socket that is its standard input.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use mailkiln_inspect::Report;

use super::wire::{self, Reply};
use super::{RuleFiles, ScanError, Settings};

/// Compiling the rules takes a second on a small board; a full disk or a swapping machine more.
const START: Duration = Duration::from_secs(60);
/// What a message may need beyond its own time: to be written and read on a loaded machine.
const WAY: Duration = Duration::from_secs(2);

/// A running worker; dropping it ends it.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    socket: UnixStream,
    /// Which change of the rules it knows.
    pub(super) generation: u64,
    /// When it last had something to do.
    pub(super) last_used: Instant,
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has ended already can't be killed; either way it must be waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    /// Starts a worker and waits until it has compiled `rules`.
    pub(super) fn start(
        settings: &Settings,
        rules: &RuleFiles,
        generation: u64,
    ) -> Result<Self, ScanError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| ScanError::Start(format!("{what}: {error}"))
        };
        let (socket, theirs) = UnixStream::pair().map_err(failed("no socket"))?;
        let process = Command::new(&settings.program)
            .arg("worker")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed(&settings.program.to_string_lossy()))?;
        let mut child = Self { process, socket, generation, last_used: Instant::now() };
        let order = wire::Start { rules: rules.clone(), milliseconds: settings.time.as_millis() };
        let reply = child
            .limit(START)
            .and_then(|()| wire::write_json(&mut child.socket, &order))
            .and_then(|()| wire::read_reply(&mut child.socket));
        match reply {
            Ok(Reply::Ready) => Ok(child),
            Ok(Reply::Refused { why }) => Err(ScanError::Start(why)),
            Ok(Reply::Report(_)) => Err(ScanError::Start("it said something else".to_owned())),
            Err(error) => Err(ScanError::Start(format!("{error}{}", child.ending()))),
        }
    }

    /// Hands a message over and waits for the report, no longer than `time`.
    pub(super) fn scan(&mut self, message: &[u8], time: Duration) -> Result<Report, ScanError> {
        let begin = Instant::now();
        let reply = self
            .limit(time + WAY)
            .and_then(|()| wire::write_bytes(&mut self.socket, message))
            .and_then(|()| {
                let left = (time + WAY).saturating_sub(begin.elapsed());
                self.limit(left.max(Duration::from_millis(1)))
            })
            .and_then(|()| wire::read_reply(&mut self.socket));
        self.last_used = Instant::now();
        match reply {
            Ok(Reply::Report(report)) => report
                .into_report()
                .map_err(|class| ScanError::Died(format!("it knows a class `{class}`"))),
            Ok(_) => Err(ScanError::Died("it said something else".to_owned())),
            Err(error) if is_timeout(&error) => Err(ScanError::Time(time)),
            Err(error) => Err(ScanError::Died(format!("{error}{}", self.ending()))),
        }
    }

    /// Nothing takes longer from now on. A report is small and written at once, so that the limit
    /// of one read is the limit of all.
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(time))?;
        self.socket.set_write_timeout(Some(time))
    }

    /// How the process ended, if it did: `, signal: 11 (SIGSEGV)`.
    fn ending(&mut self) -> String {
        // The socket closes a moment before the process is gone.
        for _ in 0..20 {
            match self.process.try_wait() {
                Ok(Some(status)) => return format!(", {status}"),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        String::new()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
