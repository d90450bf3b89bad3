//! Paths inside a tree: relative to its root, `/`-separated, never escaping.

use std::fmt;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

/// A path inside a tree, without a leading `/`. The root itself is the empty path.
///
/// No component is empty, `.`, `..`, longer than 255 bytes, or holds a NUL or control
/// character; so a path can't leave the tree and can be printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(String);

impl TreePath {
    /// The root of the tree.
    pub const ROOT: Self = Self(String::new());

    /// Parses `text`; a leading `/` or `./` and a trailing `/` are accepted, as tar writes them.
    ///
    /// # Errors
    /// [`BadPath`] for everything that [`TreePath`] promises not to hold.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let trimmed = text.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
        if trimmed.is_empty() || trimmed == "." {
            return Ok(Self::ROOT);
        }
        let bad = |why| BadPath { path: text.escape_debug().to_string(), why };
        if trimmed.len() > 4095 {
            return Err(bad("it is longer than 4095 bytes"));
        }
        for component in trimmed.split('/') {
            match component {
                "" => return Err(bad("a component is empty")),
                "." | ".." => return Err(bad("it would leave its place (`.` or `..`)")),
                _ if component.len() > 255 => return Err(bad("a component is over 255 bytes")),
                _ if component.chars().any(char::is_control) => {
                    return Err(bad("it holds a control character"));
                }
                _ => {}
            }
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The path `below` under this one.
    ///
    /// # Errors
    /// [`BadPath`] as for [`TreePath::parse`].
    pub fn join(&self, below: &str) -> Result<Self, BadPath> {
        if self.0.is_empty() { Self::parse(below) } else { Self::parse(&format!("{self}/{below}")) }
    }

    /// The components from the top; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The range in which every path below this one sorts, and no other.
    pub(crate) fn span_below(&self) -> (Bound<Self>, Bound<Self>) {
        if self.0.is_empty() {
            return (Bound::Excluded(Self::ROOT), Bound::Unbounded);
        }
        // `0` is the character after `/`.
        let (from, to) = (format!("{}/", self.0), format!("{}0", self.0));
        (Bound::Excluded(Self(from)), Bound::Excluded(Self(to)))
    }

    /// The path as text, without a leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the directory that holds this one; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.rsplit_once('/').map_or(Self::ROOT, |(parent, _)| Self(parent.to_owned())))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Whether this path is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.0.is_empty()
            || self
                .0
                .strip_prefix(&other.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::parse(&text)
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.0
    }
}

/// A path that a tree can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path `{path}` can't be part of an image: {why}")]
pub struct BadPath {
    /// The offending path, escaped for printing.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}
