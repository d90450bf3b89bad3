//! What is in a store path, without the contents of its files.
//!
//! In: a NAR, read once from its beginning to its end. Out: folders, links, and files with their lengths; and, in another
//! reading, the contents in the same order. So a store path of any size passes through little memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use nix_archive::nar::{Error, Event, decode_events_reader};

/// More entries than any store path has: beyond it, a few bytes of a hostile archive would become much memory.
const MOST_ENTRIES: usize = 8_000_000;

/// What is at a place in a store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A file.
    File {
        /// Whether it can be run.
        executable: bool,
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link, with what it says.
    Symlink(String),
    /// A folder, by name. The order is that of the archive: by bytes.
    Directory(BTreeMap<String, Shape>),
}

/// How much there is of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Files.
    pub files: usize,
    /// Folders, itself among them.
    pub directories: usize,
    /// Symbolic links.
    pub symlinks: usize,
}

impl Shape {
    /// Reads a NAR to its end.
    ///
    /// # Errors
    /// When it is none, or has names that are no UTF-8, which the file systems of images can't be given.
    pub fn read(reader: &mut dyn Read) -> Result<Self, Error> {
        let mut plant = Plant::default();
        decode_events_reader(reader, |event| plant.grow(event))?;
        plant.whole.ok_or(Error::UnexpectedEof)
    }

    /// What is at a path of names joined by `/`; the empty path is the place itself. Links are not followed.
    pub fn get(&self, path: &str) -> Option<&Self> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(self, |shape, name| match shape {
            Self::Directory(entries) => entries.get(name),
            _ => None,
        })
    }

    /// How many files, folders and links there are.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        let mut left = vec![self];
        while let Some(shape) = left.pop() {
            match shape {
                Self::File { .. } => count.files += 1,
                Self::Symlink(_) => count.symlinks += 1,
                Self::Directory(entries) => {
                    count.directories += 1;
                    left.extend(entries.values());
                }
            }
        }
        count
    }
}

/// Calls `visit` with path, length and contents of every file of a NAR, in its order. What the call leaves unread is
/// skipped.
///
/// # Errors
/// When it is no NAR, or as `visit` says.
pub fn each_file(
    reader: &mut dyn Read,
    visit: &mut dyn FnMut(&str, u64, &mut dyn Read) -> io::Result<()>,
) -> Result<(), Error> {
    let mut path = Vec::new();
    decode_events_reader(reader, |event| {
        match event {
            Event::DirectoryStart { name } => path.push(text(name.unwrap_or_default())?),
            Event::DirectoryEnd { .. } => drop(path.pop()),
            Event::Regular { name, mut contents, .. } => {
                let name = text(name.unwrap_or_default())?;
                let names = path.iter().chain([&name]).filter(|name| !name.is_empty());
                let whole = names.map(String::as_str).collect::<Vec<_>>().join("/");
                let size = contents.size();
                visit(&whole, size, &mut contents)?;
            }
            Event::Symlink { .. } => {}
        }
        Ok(())
    })
}

/// A shape that grows while an archive is read.
#[derive(Default)]
struct Plant {
    /// Folders that are open, outermost first, each with its name.
    open: Vec<(String, BTreeMap<String, Shape>)>,
    whole: Option<Shape>,
    entries: usize,
}

impl Plant {
    fn grow<R: Read + ?Sized>(
        &mut self,
        event: Event<'_, nix_archive::nar::FileContents<'_, R>>,
    ) -> Result<(), Error> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(io::Error::other("it has more than eight million entries").into());
        }
        match event {
            Event::DirectoryStart { name } => {
                self.open.push((text(name.unwrap_or_default())?, BTreeMap::new()));
            }
            Event::DirectoryEnd { .. } => {
                let (name, entries) = self.open.pop().ok_or(Error::UnexpectedEof)?;
                self.put(name, Shape::Directory(entries));
            }
            Event::Regular { name, executable, contents } => {
                let size = contents.size();
                self.put(text(name.unwrap_or_default())?, Shape::File { executable, size });
            }
            Event::Symlink { name, target } => {
                self.put(text(name.unwrap_or_default())?, Shape::Symlink(text(target)?));
            }
        }
        Ok(())
    }

    fn put(&mut self, name: String, shape: Shape) {
        match self.open.last_mut() {
            Some((_, entries)) => drop(entries.insert(name, shape)),
            None => self.whole = Some(shape),
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    let shown = || Error::InvalidName(format!("{} (not UTF-8)", bytes.escape_ascii()));
    String::from_utf8(bytes.to_vec()).map_err(|_| shown())
}

#[cfg(test)]
mod tests {
    use nix_archive::nar::Encoder;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new()).unwrap();
        encoder.start_directory(None).unwrap();
        encoder.regular(Some(b"A"), false, b"").unwrap();
        encoder.regular(Some(b"a"), true, b"abc").unwrap();
        encoder.start_directory(Some(b"b")).unwrap();
        encoder.regular(Some("\u{e4}".as_bytes()), false, b"de").unwrap();
        encoder.symlink(Some("\u{f6}".as_bytes()), b"../a").unwrap();
        encoder.end_directory().unwrap();
        encoder.end_directory().unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn names_that_differ_in_case_alone_stay_apart() {
        let shape = Shape::read(&mut archive().as_slice()).unwrap();
        assert_eq!(shape.get("A"), Some(&Shape::File { executable: false, size: 0 }));
        assert_eq!(shape.get("a"), Some(&Shape::File { executable: true, size: 3 }));
        assert_eq!(shape.get("b/\u{f6}"), Some(&Shape::Symlink("../a".to_owned())));
        assert_eq!(shape.get("b/x"), None);
        assert_eq!(shape.count(), Count { files: 3, directories: 2, symlinks: 1 });
    }

    #[test]
    fn contents_come_in_the_order_of_the_shape() {
        let mut seen = Vec::new();
        each_file(&mut archive().as_slice(), &mut |path, size, contents| {
            let mut bytes = Vec::new();
            contents.read_to_end(&mut bytes)?;
            seen.push((path.to_owned(), size, bytes));
            Ok(())
        })
        .unwrap();
        let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.len() as u64, bytes.to_vec());
        assert_eq!(seen, [file("A", b""), file("a", b"abc"), file("b/\u{e4}", b"de")]);
    }

    #[test]
    fn a_file_alone_is_a_shape_too() {
        let mut encoder = Encoder::new(Vec::new()).unwrap();
        encoder.regular(None, true, b"x").unwrap();
        let nar = encoder.finish().unwrap();
        let shape = Shape::read(&mut nar.as_slice()).unwrap();
        assert_eq!(shape, Shape::File { executable: true, size: 1 });
        let mut paths = Vec::new();
        each_file(&mut nar.as_slice(), &mut |path, _, _| {
            paths.push(path.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(paths, [""]);
    }

    #[test]
    fn what_leads_elsewhere_or_is_cut_off_is_refused() {
        for name in [b"..".as_slice(), b"a/b", b"", b"."] {
            // The writer refuses such names too, so one of the same length is put there afterwards.
            let mut encoder = Encoder::new(Vec::new()).unwrap();
            encoder.start_directory(None).unwrap();
            encoder.regular(Some(&b"~~~"[..name.len().max(1)]), false, b"x").unwrap();
            encoder.end_directory().unwrap();
            let mut nar = encoder.finish().unwrap();
            let at = nar.iter().position(|byte| *byte == b'~').unwrap();
            let length = name.len() as u64;
            nar[at - 8..at].copy_from_slice(&length.to_le_bytes());
            nar[at..at + 8].fill(0);
            nar[at..at + name.len()].copy_from_slice(name);
            assert!(Shape::read(&mut nar.as_slice()).is_err(), "{}", name.escape_ascii());
        }
        let whole = archive();
        for length in 0..whole.len() {
            assert!(Shape::read(&mut &whole[..length]).is_err(), "{length}");
        }
        let mut wrong = whole.clone();
        let at = wrong.iter().rposition(|byte| *byte == 0xa4).unwrap();
        wrong[at] = 0xff;
        let said = Shape::read(&mut wrong.as_slice()).unwrap_err().to_string();
        assert!(said.contains("not UTF-8"), "{said}");
    }
}
