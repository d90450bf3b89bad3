//! Patches of ours on published crates.
//!
//! In: a unified diff (`diff -u`, `git diff`) whose paths are `a/CRATE-VERSION/…`, and the text of
//! the files it names. Out: the new text of each file. Stricter than patch(1): every hunk must
//! fit at the very line it names, so a patch never lands somewhere its author has not seen.
//! Pure; applying to a folder is `vendor`'s work.

use std::fmt;

use diffy::Line;
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};
use mailkiln_pin::Sha256;
use mailkiln_tree::TreePath;

/// A patch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its path below the component's folder, for messages: `patches/0001-….patch`.
    pub path: String,
    /// The diff.
    pub text: String,
}

/// What a patch does to one file below `vendor/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) what: What,
    pub(crate) path: TreePath,
    pub(crate) hunks: Hunks<'a>,
}

/// What happens to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It must not exist yet.
    Create,
    /// It must read as the hunks say, and be empty after them.
    Delete,
    /// It gets the text that the hunks make.
    Modify,
}

/// The hunks of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hunks<'a>(diffy::Patch<'a, str>);

impl fmt::Display for Hunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Patch {
    /// Digest of the diff, as a lock pins it.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(self.text.as_bytes())
    }

    /// Splits the diff into one change per file, in its order.
    pub(crate) fn changes(&self) -> Result<Vec<Change<'_>>, PatchError> {
        let malformed = |what: String| PatchError::Malformed { patch: self.path.clone(), what };
        let mut changes = Vec::new();
        for file in PatchSet::parse(&self.text, ParseOptions::unidiff()) {
            let file = file.map_err(|error| malformed(error.to_string()))?;
            let path = |text: &str| {
                TreePath::parse(text)
                    .ok()
                    .filter(|path| path.parent().is_some_and(|parent| parent != TreePath::ROOT))
                    .ok_or_else(|| malformed(format!("`{text}` is not `a/CRATE-VERSION/FILE`")))
            };
            let (what, path) = match file.operation().strip_prefix(1) {
                FileOperation::Create(to) => (What::Create, path(&to)?),
                FileOperation::Delete(from) => (What::Delete, path(&from)?),
                FileOperation::Modify { original, modified } if original == modified => {
                    (What::Modify, path(&original)?)
                }
                _ => return Err(malformed(String::from("it renames or copies a file"))),
            };
            let PatchKind::Text(diff) = file.into_patch() else {
                return Err(malformed(String::from("it holds a binary diff")));
            };
            changes.push(Change { what, path, hunks: Hunks(diff) });
        }
        if changes.is_empty() {
            return Err(malformed(String::from("it holds no change")));
        }
        Ok(changes)
    }

    /// The error for a hunk (counted from 1) that did not fit `file`.
    pub(crate) fn refused(&self, file: &TreePath, hunk: usize) -> PatchError {
        PatchError::Refused { patch: self.path.clone(), file: file.as_str().to_owned(), hunk }
    }
}

impl Hunks<'_> {
    /// The text after all hunks; the number of the first hunk (from 1) that does not fit.
    pub(crate) fn apply(&self, text: &str) -> Result<String, usize> {
        let mut old = text.split_inclusive('\n');
        let mut position = 0_usize;
        let mut new = String::with_capacity(text.len());
        for (number, hunk) in (1..).zip(self.0.hunks()) {
            // A range of no lines names the line *before* it; others count from 1.
            let range = hunk.old_range();
            let start =
                if range.is_empty() { range.start() } else { range.start().wrapping_sub(1) };
            let skipped = start.checked_sub(position).ok_or(number)?;
            for _ in 0..skipped {
                new.push_str(old.next().ok_or(number)?);
            }
            position = start;
            for line in hunk.lines() {
                match line {
                    Line::Insert(inserted) => new.push_str(inserted),
                    Line::Context(expected) | Line::Delete(expected) => {
                        if old.next() != Some(*expected) {
                            return Err(number);
                        }
                        position += 1;
                        if matches!(line, Line::Context(_)) {
                            new.push_str(expected);
                        }
                    }
                }
            }
        }
        new.extend(old);
        Ok(new)
    }
}

/// A patch that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not a diff this program applies.
    #[error("{patch} can't be read: {what}; write it with `diff -u` or `git diff --no-renames`")]
    Malformed {
        /// The patch's path.
        patch: String,
        /// What is wrong with it.
        what: String,
    },
    /// The crate's text is not what the patch was written against.
    #[error(
        "{patch}: hunk {hunk} of {file} does not fit the crate's text at its line; the crate or an \
         earlier patch has changed, so write the patch anew against it"
    )]
    Refused {
        /// The patch's path.
        patch: String,
        /// The file below `vendor/`.
        file: String,
        /// Which hunk of that file, from 1.
        hunk: usize,
    },
    /// A file that should be there is not, or the reverse.
    #[error("{patch}: {file} {what}")]
    File {
        /// The patch's path.
        patch: String,
        /// The file below `vendor/`.
        file: String,
        /// `is not in the crate`, `exists already`.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patch(text: &str) -> Patch {
        Patch { path: String::from("patches/1.patch"), text: text.to_owned() }
    }

    fn apply(diff: &str, old: &str) -> Result<String, String> {
        let patch = patch(diff);
        let changes = patch.changes().map_err(|error| error.to_string())?;
        let Change { path, hunks, .. } = &changes[0];
        hunks.apply(old).map_err(|hunk| patch.refused(path, hunk).to_string())
    }

    const HEAD: &str = "Why: a test.\n\n--- a/x-1.0.0/src/lib.rs\n+++ b/x-1.0.0/src/lib.rs\n";

    #[test]
    fn a_hunk_fits_where_it_says_or_nowhere() {
        let diff = format!("{HEAD}@@ -2,2 +2,2 @@\n b\n-c\n+C\n");
        assert_eq!(apply(&diff, "a\nb\nc\nd\n").unwrap(), "a\nb\nC\nd\n");
        // The same lines, one further down: patch(1) would accept that with an offset.
        let error = apply(&diff, "a\na\nb\nc\nd\n").unwrap_err();
        assert!(error.contains("hunk 1 of x-1.0.0/src/lib.rs"), "{error}");
        assert!(apply(&diff, "a\n").is_err());
    }

    #[test]
    fn insertions_ends_without_newline_and_new_files() {
        assert_eq!(apply(&format!("{HEAD}@@ -0,0 +1 @@\n+a\n"), "b\n").unwrap(), "a\nb\n");
        assert_eq!(apply(&format!("{HEAD}@@ -1,0 +2 @@\n+b\n"), "a\nc\n").unwrap(), "a\nb\nc\n");
        let no_newline = format!("{HEAD}@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n");
        assert_eq!(apply(&no_newline, "a").unwrap(), "b\n");
        assert!(apply(&no_newline, "a\n").is_err());
        let create = "--- /dev/null\n+++ b/x-1.0.0/new.rs\n@@ -0,0 +1 @@\n+a\n";
        assert_eq!(apply(create, "").unwrap(), "a\n");
    }

    #[test]
    fn paths_that_leave_the_crate_are_refused() {
        for path in ["a/../../etc/passwd", "a/x-1.0.0/../../y", "x-1.0.0", "a/file"] {
            let diff = format!("--- {path}\n+++ {path}\n@@ -1 +1 @@\n-a\n+b\n");
            assert!(apply(&diff, "a\n").is_err(), "{path}");
        }
        assert!(apply("Why: there is no diff here.\n", "").is_err());
        let renamed = "--- a/x-1/a\n+++ b/x-1/b\n@@ -1 +1 @@\n-a\n+b\n";
        assert!(apply(renamed, "a\n").unwrap_err().contains("renames"));
    }

    proptest! {
        #[test]
        fn what_diffy_wrote_is_applied_exactly(
            old in proptest::collection::vec("[ab]{0,2}", 0..20),
            new in proptest::collection::vec("[ab]{0,2}", 0..20),
        ) {
            let text = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
            let (old, new) = (text(&old), text(&new));
            let diff = diffy::create_patch(&old, &new);
            prop_assert_eq!(Hunks(diff).apply(&old), Ok(new));
        }

        #[test]
        fn no_text_makes_it_panic(diff in "(--- a/x-1/f\n|\\+\\+\\+ b/x-1/f\n|@@ -[0-9]{1,20},?[0-9]? \\+1 @@\n|[-+ ]a\n){0,8}") {
            let _ = apply(&diff, "a\na\n");
        }
    }
}
