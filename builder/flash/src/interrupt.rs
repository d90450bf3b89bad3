//! Ctrl-C, noticed between two pieces instead of in the middle of one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal, raise};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Those that ask for the end. Whoever starts a program by `nohup`, or a shell that starts it in the background, has
/// some of them ignored: these ask for nothing, though the kernel hands over an ignored signal that is blocked.
fn signals() -> SigSet {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    SIGNALS.into_iter().filter(|signal| ignored >> (*signal as u32 - 1) & 1 == 0).collect()
}

/// The mask `SigIgn` of proc_pid_status(5): bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether somebody wants this to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Notices SIGINT, SIGTERM and SIGHUP from here on. A second signal ends the process at once.
    ///
    /// Threads that run already have to have these signals blocked; threads that this one starts later do.
    ///
    /// # Errors
    /// When signals can't be blocked, or no thread can be started.
    pub fn on_signals() -> io::Result<Self> {
        let interrupt = Self::default();
        let asked = Arc::clone(&interrupt.asked);
        let signals = signals();
        signals.thread_block()?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if signals.wait().is_ok() {
                asked.store(true, Ordering::SeqCst);
            }
            // From here on this thread takes them, as if nobody had asked for them.
            let _ = signals.thread_unblock();
            loop {
                thread::park();
            }
        })?;
        Ok(interrupt)
    }

    /// Has `clean` called before SIGINT, SIGTERM or SIGHUP ends the process, as it then does. The same holds for
    /// threads as above.
    ///
    /// # Errors
    /// When signals can't be blocked, or no thread can be started.
    pub fn cleans(clean: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let signals = signals();
        signals.thread_block()?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(signal) = signals.wait() else { return };
            clean();
            // This thread takes it now, and whoever waits for the process sees which it was.
            let _ = signals.thread_unblock();
            let _ = raise(signal);
        })?;
        Ok(())
    }

    /// Lets this thread take the signals again: a program that another one started has those blocked that its
    /// parent had.
    ///
    /// # Errors
    /// When signals can't be unblocked.
    pub fn unblocks() -> io::Result<()> {
        Ok(SIGNALS.into_iter().collect::<SigSet>().thread_unblock()?)
    }

    /// Asks for the end.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has asked for the end.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_are_ignored_are_found_in_what_the_kernel_says() {
        // What `nohup` leaves: SIGHUP is 1.
        let status = "SigBlk:\t0000000000000006\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
