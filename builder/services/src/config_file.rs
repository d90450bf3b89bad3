//! A configuration file of a service.

/// A file that a service reads, the same on an image and on a NixOS host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
    /// Owner and group by number; root is 0.
    pub owner: u32,
    /// The bytes. Never a secret: an image can be published.
    pub contents: String,
}

impl ConfigFile {
    /// A file of root that everybody may read.
    pub fn public(path: impl Into<String>, contents: String) -> Self {
        Self { path: path.into(), mode: 0o644, owner: 0, contents }
    }
}
