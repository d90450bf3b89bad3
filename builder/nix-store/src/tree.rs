//! The content of a store path, and its NAR.
//!
//! In: files in folders. Out: the one sequence of bytes that Nix hashes and transports.

use std::collections::BTreeMap;
use std::io::Write;

use nix_archive::nar::{Encoder, Error};

/// What is at a place in a store path. A store knows neither owners nor times, and of modes only whether a file is
/// executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File {
        /// Whether it can be run.
        executable: bool,
        /// All its bytes.
        contents: Vec<u8>,
    },
    /// A folder, by name.
    Directory(BTreeMap<String, Node>),
}

impl Node {
    /// An empty folder.
    pub fn directory() -> Self {
        Self::Directory(BTreeMap::new())
    }

    /// Puts a node at a path of names joined by `/`, making the folders that lead there. What stood there, or was no
    /// folder on the way, is replaced.
    pub fn insert(&mut self, path: &str, node: Self) {
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        if !matches!(self, Self::Directory(_)) {
            *self = Self::directory();
        }
        let Self::Directory(entries) = self else { return };
        match rest {
            None => drop(entries.insert(first.to_owned(), node)),
            Some(rest) => {
                entries.entry(first.to_owned()).or_insert_with(Self::directory).insert(rest, node);
            }
        }
    }

    /// Writes the NAR (Nix manual, "Nix Archive (NAR) format").
    ///
    /// # Errors
    /// When `out` does not take it, or a name is not possible: empty, `.`, `..`, or with a slash or NUL in it.
    pub fn write_nar(&self, out: impl Write) -> Result<(), Error> {
        let mut encoder = Encoder::new(out)?;
        self.encode(None, &mut encoder)?;
        encoder.finish().map(drop)
    }

    fn encode<W: Write>(&self, name: Option<&[u8]>, encoder: &mut Encoder<W>) -> Result<(), Error> {
        match self {
            Self::File { executable, contents } => encoder.regular(name, *executable, contents),
            Self::Directory(entries) => {
                encoder.start_directory(name)?;
                for (name, node) in entries {
                    node.encode(Some(name.as_bytes()), encoder)?;
                }
                encoder.end_directory()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nix_archive::nar::Entry;
    use proptest::prelude::*;

    use super::*;

    fn file(contents: &[u8]) -> Node {
        Node::File { executable: contents.len() % 2 == 1, contents: contents.to_vec() }
    }

    /// What a reader that is not ours finds in the NAR: paths of files, with their bytes and whether they can be run.
    fn read(node: &Node) -> Vec<(String, Vec<u8>, bool)> {
        let mut nar = Vec::new();
        node.write_nar(&mut nar).unwrap();
        let files = nix_archive::nar::decode(&nar).unwrap();
        let files = files.into_iter().filter_map(|entry| match entry {
            Entry::Regular { path, executable, contents } => {
                Some((path.to_str().unwrap().to_owned(), contents.to_vec(), executable))
            }
            _ => None,
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    }

    #[test]
    fn folders_are_made_on_the_way() {
        let mut tree = Node::directory();
        tree.insert("bin/a", file(b"abc"));
        tree.insert("bin/b", file(b""));
        tree.insert("bin/a", file(b"ab"));
        assert_eq!(
            read(&tree),
            [("bin/a".to_owned(), b"ab".to_vec(), false), ("bin/b".to_owned(), vec![], false)]
        );
    }

    #[test]
    fn impossible_names_are_refused() {
        for name in ["", ".", "..", "a\0b"] {
            let mut tree = Node::directory();
            tree.insert(name, file(b""));
            assert!(tree.write_nar(std::io::sink()).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            files in proptest::collection::btree_map("[a-z+._-]{3,9}", any::<Vec<u8>>(), 0..8)
        ) {
            let mut tree = Node::directory();
            for (name, contents) in &files {
                tree.insert(&format!("share/{name}"), file(contents));
            }
            let wanted: Vec<_> = files.iter().map(|(name, contents)| {
                (format!("share/{name}"), contents.clone(), contents.len() % 2 == 1)
            }).collect();
            prop_assert_eq!(read(&tree), wanted);
        }
    }
}
