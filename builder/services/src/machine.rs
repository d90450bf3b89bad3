//! What systemd itself is told about the machine.

use std::time::Duration;

/// How the machine is watched, and what it does when memory runs short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The hardware watchdog restarts the machine when systemd has been silent for so long.
    pub watchdog: Option<Duration>,
    /// Whether memory that is not in use is compressed in memory. There is never a swap file: it
    /// would wear a card, and would hold mail and keys.
    pub compress_memory: bool,
    /// Time servers that are asked before Debian's: those of the machine's provider.
    pub time_servers: Vec<String>,
}
