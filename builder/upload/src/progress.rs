//! Who is told how an upload goes.

use std::sync::Mutex;

/// Receives progress updates.
pub trait Progress: Send + Sync {
    /// A step has begun that needs no bar.
    fn step(&self, what: &str);
    /// Bytes will be sent, `bytes` in all.
    fn begin(&self, bytes: u64);
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// So many bytes will be sent again.
    fn retract(&self, bytes: u64);
    /// All bytes are sent, or the upload has failed.
    fn end(&self);
}

/// Nobody is told; what happened is kept for tests.
#[derive(Debug, Default)]
pub struct Silent {
    /// The steps so far.
    pub steps: Mutex<Vec<String>>,
}

impl Progress for Silent {
    fn step(&self, what: &str) {
        if let Ok(mut steps) = self.steps.lock() {
            steps.push(what.to_owned());
        }
    }

    fn begin(&self, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn retract(&self, _bytes: u64) {}
    fn end(&self) {}
}
