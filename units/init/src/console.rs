//! What the person in front of the machine reads.
//!
//! In: lines. Out: the kernel's log (`/dev/kmsg`), which reaches every console of the command
//! line, the serial one too, and later the journal; standard error when there is no `/dev/kmsg`.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

/// Severity of a line, as syslog(2) numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Shown even with `quiet` on the command line.
    Critical = 2,
    /// Something is off, the boot goes on.
    Warning = 4,
    /// A step that a boot usually shows.
    Info = 6,
}

/// The console of the machine.
#[derive(Debug)]
pub struct Console {
    kmsg: Option<File>,
    debug: bool,
}

impl Console {
    /// Opens the kernel's log. Call it again once `/dev` is mounted.
    pub fn open() -> Self {
        Self { kmsg: OpenOptions::new().write(true).open("/dev/kmsg").ok(), debug: false }
    }

    /// Turns [`Console::detail`] on. The kernel drops lines of a talkative writer unless told
    /// otherwise (`printk.devkmsg`).
    pub fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
        if debug && let Err(error) = fs::write("/proc/sys/kernel/printk_devkmsg", "on\n") {
            self.say(Level::Warning, &format!("some lines will be missing: {error}"));
        }
    }

    /// Writes `text`, one record per line.
    pub fn say(&self, level: Level, text: &str) {
        for line in text.lines() {
            let record = format!("<{}>mailkiln-init: {line}\n", level as u8);
            let written = self.kmsg.as_ref().map(|mut kmsg| kmsg.write_all(record.as_bytes()));
            if !matches!(written, Some(Ok(()))) {
                // Nobody is left to tell if this fails too.
                let _ = std::io::stderr().write_all(record.as_bytes());
            }
        }
    }

    /// Writes a line only under `mailkiln.debug`.
    pub fn detail(&self, text: &str) {
        if self.debug {
            self.say(Level::Info, text);
        }
    }
}
