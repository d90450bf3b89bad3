//! Ctrl-C, noticed between two pieces instead of in the middle of one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

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
        let signals: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
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

    /// Asks for the end.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has asked for the end.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
