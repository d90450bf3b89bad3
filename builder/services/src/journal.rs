//! How much of the log is kept.

use std::time::Duration;

/// Limits of the journal. The log is all that an administrator has after an incident, and it
/// must never fill the disk that the mail is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// Bytes on disk at most.
    pub disk: u64,
    /// Bytes of the disk that it leaves free at least.
    pub keep_free: u64,
    /// Bytes in memory at most, before `/var` is there.
    pub memory: u64,
    /// Age at which entries go. Log lines hold addresses of people.
    pub keep: Duration,
}

impl Journal {
    /// 256 MiB on disk, 8 MiB in memory, four weeks.
    pub(crate) const DEFAULT: Self = Self {
        disk: 256 << 20,
        keep_free: 128 << 20,
        memory: 8 << 20,
        keep: Duration::from_secs(28 * 24 * 60 * 60),
    };
}
