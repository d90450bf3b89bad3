//! `nix-cache-info`, by which Nix knows a cache.
//!
//! In: its text. Out: what it says; and the reverse. See the Nix manual, "HTTP Binary Cache Store".

use std::fmt;

use nix_derivation::store_path::STORE_DIR;

/// The file's name.
pub const INFO_NAME: &str = "nix-cache-info";
/// What Nix takes where a cache says nothing. Lower is asked first; that of NixOS says 40.
const PRIORITY: u32 = 50;

/// What a cache says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    store: String,
    mass_query: bool,
    priority: u32,
}

/// A text is no `nix-cache-info` of a cache for `/nix/store`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheInfoError {
    /// A line is not `NAME: VALUE`, or its value is none.
    #[error("line {0} is not understood")]
    Line(usize),
    /// It is for another store.
    #[error("it is for the store {0}, not for {STORE_DIR}")]
    Store(String),
}

impl Default for CacheInfo {
    fn default() -> Self {
        Self { store: STORE_DIR.to_owned(), mass_query: true, priority: PRIORITY }
    }
}

impl CacheInfo {
    /// Reads a cache's own words. Fields that nobody knows are left to those who do.
    ///
    /// # Errors
    /// [`CacheInfoError`] names the line, or the foreign store.
    pub fn parse(text: &str) -> Result<Self, CacheInfoError> {
        let mut info = Self { mass_query: false, ..Self::default() };
        for (index, line) in text.lines().enumerate() {
            let wrong = CacheInfoError::Line(index + 1);
            let (name, value) = line.split_once(':').ok_or(wrong.clone())?;
            let value = value.trim();
            match name {
                "StoreDir" if value == STORE_DIR => info.store = value.to_owned(),
                "StoreDir" => return Err(CacheInfoError::Store(value.to_owned())),
                "WantMassQuery" => info.mass_query = value == "1",
                "Priority" => info.priority = value.parse().map_err(|_| wrong)?,
                _ => {}
            }
        }
        Ok(info)
    }
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, mass_query, priority } = self;
        writeln!(f, "StoreDir: {store}")?;
        writeln!(f, "WantMassQuery: {}", u8::from(*mass_query))?;
        writeln!(f, "Priority: {priority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_read_back() {
        let own = CacheInfo::default();
        assert_eq!(own.to_string(), "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 50\n");
        assert_eq!(CacheInfo::parse(&own.to_string()), Ok(own));
    }

    #[test]
    fn foreign_ones_are_told_by_line() {
        let cases = [
            ("StoreDir: /gnu/store\n", CacheInfoError::Store("/gnu/store".into())),
            ("StoreDir: /nix/store\nPriority\n", CacheInfoError::Line(2)),
            ("Priority: high\n", CacheInfoError::Line(1)),
        ];
        for (text, error) in cases {
            assert_eq!(CacheInfo::parse(text), Err(error), "{text}");
        }
        assert!(CacheInfo::parse("").is_ok());
        assert!(CacheInfo::parse("Later: field\n").is_ok());
    }
}
