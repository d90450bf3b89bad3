//! What a compilation tells whoever is watching.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Packages of the toolchain are unpacked.
    Toolchain,
    /// The host's cargo fetches crates; how far it is, it does not say.
    Fetch,
    /// Crates are unpacked and patched.
    Vendor,
    /// Crates are compiled.
    Compile,
}

impl Step {
    /// The step as a user reads it.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Toolchain => "unpacking the toolchain",
            Self::Fetch => "fetching crates",
            Self::Vendor => "unpacking crates",
            Self::Compile => "compiling",
        }
    }
}

/// Receives the progress of one compilation.
pub trait Progress: Sync {
    /// `done` of `total` items are through; `name` is the one that comes next or came last.
    fn advance(&self, step: Step, done: usize, total: usize, name: &str) {
        let _ = (step, done, total, name);
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
