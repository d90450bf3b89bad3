//! Foreign tar archives, written into a fresh directory.
//!
//! In: the members of an archive and a rule that says where each goes. Out: files, directories, symlinks
//! and hard links below one root, with modes 0755 or 0644 and one constant time, so that the
//! result does not depend on umask, user or clock. Nothing is written outside the root: paths
//! are parsed, and every parent must be a directory that this unpacker made itself.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mailkiln_sources::deb::{DebError, MemberKind, Members};
use mailkiln_tree::{BadPath, TreePath};

use crate::FileError;
use crate::file_error::At;

/// The time of every file: late enough that make and cargo take it for one.
pub(crate) const TIME: Duration = Duration::from_secs(1_000_000_000);

/// Unpacks archives into one root.
#[derive(Debug)]
pub(crate) struct Unpacker {
    root: PathBuf,
    made: BTreeSet<TreePath>,
    symlinks: bool,
}

impl Unpacker {
    /// An unpacker into `root`, which must be empty. `symlinks`: whether archives may hold them.
    pub(crate) fn new(root: &Path, symlinks: bool) -> Self {
        Self { root: root.to_owned(), made: BTreeSet::from([TreePath::ROOT]), symlinks }
    }

    /// Writes the members of an archive, each where `place` puts it; `None` leaves one out. A hard link that stays while
    /// its file is left out is refused: its content would be missing.
    pub(crate) fn tar(
        &mut self,
        mut members: Members<impl Read>,
        place: impl Fn(&TreePath) -> Option<TreePath>,
    ) -> Result<(), UnpackError> {
        while let Some(member) = members.next()? {
            let Some(to) = place(&member.path) else { continue };
            match &member.kind {
                MemberKind::Directory => self.directory(&to)?,
                MemberKind::File => {
                    self.file(&to, member.mode & 0o111 != 0, &mut &members.content()?[..])?;
                }
                MemberKind::Symlink(target) if self.symlinks => self.symlink(&to, target)?,
                MemberKind::Symlink(_) => return Err(UnpackError::Symlink { path: to }),
                MemberKind::Hardlink(target) => {
                    let target = place(target).ok_or_else(|| UnpackError::LeftOut {
                        path: to.clone(),
                        target: target.clone(),
                    })?;
                    self.hard_link(&to, &target)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a directory and its parents; one that was made before is fine.
    pub(crate) fn directory(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        if self.made.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directory(&parent)?;
        }
        let on_disk = self.free(path)?;
        fs::create_dir(&on_disk).at("create", &on_disk)?;
        fs::set_permissions(&on_disk, Permissions::from_mode(0o755)).at("change", &on_disk)?;
        self.made.insert(path.clone());
        Ok(())
    }

    /// Writes a file.
    pub(crate) fn file(
        &mut self,
        path: &TreePath,
        executable: bool,
        content: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let on_disk = self.prepare(path)?;
        let mut file = File::create_new(&on_disk).at("create", &on_disk)?;
        io::copy(content, &mut file).at("write", &on_disk)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let time = SystemTime::UNIX_EPOCH + TIME;
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.set_times(FileTimes::new().set_modified(time).set_accessed(time)))
            .at("change", &on_disk)?;
        Ok(())
    }

    /// Makes a symlink. Its target may be anything: nobody follows it while unpacking.
    pub(crate) fn symlink(&mut self, path: &TreePath, target: &str) -> Result<(), UnpackError> {
        let on_disk = self.prepare(path)?;
        symlink(target, &on_disk).at("create", &on_disk)?;
        Ok(())
    }

    fn hard_link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), UnpackError> {
        let source = self.root.join(target.as_str());
        let inside = target.parent().is_some_and(|parent| self.made.contains(&parent));
        let is_file = fs::symlink_metadata(&source).is_ok_and(|metadata| metadata.is_file());
        if !inside || !is_file {
            return Err(UnpackError::Link { path: path.clone(), target: target.clone() });
        }
        let on_disk = self.prepare(path)?;
        fs::hard_link(&source, &on_disk).at("create", &on_disk)?;
        Ok(())
    }

    /// Makes the parents of a path at which nothing may stand yet.
    fn prepare(&mut self, path: &TreePath) -> Result<PathBuf, UnpackError> {
        if let Some(parent) = path.parent() {
            self.directory(&parent)?;
        }
        self.free(path)
    }

    fn free(&self, path: &TreePath) -> Result<PathBuf, UnpackError> {
        let on_disk = self.root.join(path.as_str());
        match fs::symlink_metadata(&on_disk) {
            Ok(_) => Err(UnpackError::Taken { path: path.clone() }),
            Err(_) => Ok(on_disk),
        }
    }
}

/// An archive that can't be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive is damaged or hostile.
    #[error(transparent)]
    Archive(#[from] DebError),
    /// A name that would leave the root.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A path that stands there already, or whose parent is no directory of the archive.
    #[error("{path} stands in the archive twice, or below something that is not a directory")]
    Taken {
        /// The path.
        path: TreePath,
    },
    /// A symlink where none may be.
    #[error("{path} is a symbolic link, which a crate may not hold")]
    Symlink {
        /// The path.
        path: TreePath,
    },
    /// A hard link to something that the archives have not brought.
    #[error("{path} is a hard link to {target}, which is not a file of the archive")]
    Link {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// A hard link to a file that is left out.
    #[error("{path} is a hard link to {target}, which is left out: keep both or neither")]
    LeftOut {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    fn entry(name: &str, kind: EntryType, link: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the crate's own setters refuse what a hostile archive holds.
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4777);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn unpack(root: &Path, symlinks: bool, entries: &[Vec<u8>]) -> Result<(), UnpackError> {
        let archive = [entries.concat(), vec![0; 1024]].concat();
        let members = Members::new(&archive[..], "archive", 1 << 20);
        Unpacker::new(root, symlinks).tar(members, |path| Some(path.clone()))
    }

    #[test]
    fn modes_and_times_are_constant() {
        let root = tempfile::tempdir().unwrap();
        let entries = [
            entry("./a/b", EntryType::Regular, "", b"text"),
            entry("a/c", EntryType::Link, "a/b", b""),
            entry("a/d", EntryType::Symlink, "../../etc", b""),
        ];
        unpack(root.path(), true, &entries).unwrap();
        let metadata = fs::metadata(root.path().join("a/c")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
        assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + TIME);
        assert_eq!(fs::read(root.path().join("a/c")).unwrap(), b"text");
        assert_eq!(fs::read_link(root.path().join("a/d")).unwrap(), Path::new("../../etc"));
    }

    #[test]
    fn a_hard_link_to_what_is_left_out_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let archive = [
            entry("doc/b", EntryType::Regular, "", b"text"),
            entry("a", EntryType::Link, "doc/b", b""),
            vec![0; 1024],
        ]
        .concat();
        let members = Members::new(&archive[..], "archive", 1 << 20);
        let place = |path: &TreePath| (path.as_str() == "a").then(|| path.clone());
        let error = Unpacker::new(root.path(), true).tar(members, place).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/a is a hard link to /doc/b, which is left out: keep both or neither"
        );
    }

    #[test]
    fn nothing_escapes_the_root() {
        let file = |name: &str| entry(name, EntryType::Regular, "", b"x");
        let cases: [(&str, Vec<Vec<u8>>); 10] = [
            ("leave its place", vec![file("../x")]),
            ("leave its place", vec![file("a/../../x")]),
            ("control character", vec![file("a\nb")]),
            ("twice", vec![file("a"), file("a")]),
            ("below something", vec![entry("a", EntryType::Symlink, "/tmp", b""), file("a/x")]),
            ("not a file of the archive", vec![entry("a", EntryType::Link, "etc/passwd", b"")]),
            ("leave its place", vec![entry("a", EntryType::Link, "../etc/passwd", b"")]),
            ("absolute", vec![file("/etc/x")]),
            ("device node", vec![entry("a", EntryType::Char, "", b"")]),
            ("damaged", vec![file("a")[..513].to_vec()]),
        ];
        for (expected, entries) in cases {
            let root = tempfile::tempdir().unwrap();
            let message = unpack(root.path(), true, &entries).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}, not {expected}");
        }
        let root = tempfile::tempdir().unwrap();
        assert!(unpack(root.path(), false, &[entry("a", EntryType::Symlink, "b", b"")]).is_err());
    }
}
