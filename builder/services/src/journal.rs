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
    /// How long entries may be in memory only, unless they are errors. On a card each write of a few
    /// lines rewrites a block of megabytes.
    pub sync: Duration,
    /// Age at which entries go. Log lines hold addresses of people.
    pub keep: Duration,
}

impl Journal {
    /// 256 MiB on disk, 8 MiB in memory, five minutes (systemd's own), four weeks.
    pub(crate) const DEFAULT: Self = Self {
        disk: 256 << 20,
        keep_free: 128 << 20,
        memory: 8 << 20,
        sync: Duration::from_secs(5 * 60),
        keep: Duration::from_secs(28 * 24 * 60 * 60),
    };

    /// A quarter of that on a card, written every half an hour.
    pub(crate) const ON_A_CARD: Self =
        Self { disk: 64 << 20, sync: Duration::from_secs(30 * 60), ..Self::DEFAULT };
}
