//! What a download tells whoever is watching.

/// Receives the progress of downloads, from several threads at once.
pub trait Progress: Sync {
    /// Downloads begin: so many files and bytes are missing from the cache.
    fn begin(&self, files: usize, bytes: u64) {
        let _ = (files, bytes);
    }

    /// A file is being downloaded.
    fn start(&self, name: &str) {
        let _ = name;
    }

    /// So many more bytes have arrived.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// So many of the bytes reported before have to be downloaded again.
    fn retract(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A file is complete and verified.
    fn finish(&self, name: &str) {
        let _ = name;
    }

    /// All downloads are done, or one has failed.
    fn end(&self) {}
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
