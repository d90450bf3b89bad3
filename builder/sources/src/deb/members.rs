//! A walk over the members of a tar archive.
//!
//! In: a stream of tar bytes. Out: one [`Member`] after the other, and their contents on demand.
//! Format: what dpkg-deb writes and dpkg accepts (deb(5)), and cargo writes too: ustar and GNU long
//! names, no pax, no sparse files. Each header's checksum is checked; the archive must end with two zero blocks,
//! and nothing but zeros may follow.

use std::io::{self, Read};

use mailkiln_tree::TreePath;
use tar::{EntryType, Header};

use super::DebError;

const BLOCK: usize = 512;
/// Longest path or link target: the kernel's PATH_MAX with its NUL.
const LONGEST_NAME: u64 = 4096;
/// Most members; the kernel's headers, the largest package we read, have 20,000.
const MOST_MEMBERS: u64 = 500_000;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A directory.
    Directory,
    /// A regular file; [`Members::content`] reads it.
    File,
    /// A symbolic link with its target as written.
    Symlink(String),
    /// Another name for an earlier member.
    Hardlink(TreePath),
}

/// One member's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it belongs.
    pub path: TreePath,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Length of a file in bytes; 0 for all else.
    pub size: u64,
}

/// Reads an archive member by member.
pub struct Members<R> {
    stream: R,
    part: &'static str,
    /// How many bytes may still be read.
    budget: u64,
    count: u64,
    /// What is left of the current member, and of its padding.
    left: u64,
    padding: u64,
}

impl<R> std::fmt::Debug for Members<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("part", &self.part).finish_non_exhaustive()
    }
}

impl<R: Read> Members<R> {
    /// Reads at most `budget` bytes of `stream`; `part` names the archive in errors.
    pub fn new(stream: R, part: &'static str, budget: u64) -> Self {
        Self { stream, part, budget, count: 0, left: 0, padding: 0 }
    }

    /// The next member; `None` after the last, once the archive has proved to end there.
    ///
    /// # Errors
    /// [`DebError`] for a damaged archive or a member that no image can hold.
    // Not an Iterator: contents are read between two members, from the same stream.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Member>, DebError> {
        let mut long_name = None;
        let mut long_target = None;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size().map_err(|error| self.damaged(error))?;
            match header.entry_type() {
                EntryType::GNULongName => long_name = Some(self.long(size)?),
                EntryType::GNULongLink => long_target = Some(self.long(size)?),
                _ => return self.member(&header, size, long_name, long_target).map(Some),
            }
        }
    }

    /// The bytes of the file that [`Members::next`] returned last; empty when read already.
    ///
    /// # Errors
    /// [`DebError::Damaged`] when the archive ends before the file does.
    pub fn content(&mut self) -> Result<Vec<u8>, DebError> {
        let mut content = Vec::new();
        let expected = self.left;
        // `take` grows the buffer with bytes that exist, not with what the header promises.
        self.stream
            .by_ref()
            .take(expected)
            .read_to_end(&mut content)
            .map_err(|error| self.damaged(error))?;
        if content.len() as u64 != expected {
            return Err(self.damaged("it ends early"));
        }
        self.left = 0;
        Ok(content)
    }

    fn member(
        &mut self,
        header: &Header,
        size: u64,
        long_name: Option<Vec<u8>>,
        long_target: Option<Vec<u8>>,
    ) -> Result<Member, DebError> {
        let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
        let refused = |why: String| DebError::Member { path: shown.clone(), why };
        self.count += 1;
        if self.count > MOST_MEMBERS {
            return Err(self.damaged("it has more than 500,000 members"));
        }
        let target = || {
            let target = long_target.clone();
            let target = target.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
            text(&target.unwrap_or_default()).map_err(&refused)
        };
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Directory => MemberKind::Directory,
            EntryType::Symlink => MemberKind::Symlink(link_target(target()?).map_err(&refused)?),
            EntryType::Link => MemberKind::Hardlink(relative(&target()?).map_err(&refused)?),
            EntryType::Char | EntryType::Block => {
                return Err(refused("it is a device node; packages that need one use udev".into()));
            }
            other => return Err(refused(format!("its type {other:?} has no place in a package"))),
        };
        let path = text(&name).and_then(|name| relative(&name)).map_err(&refused)?;
        let number = |field: io::Result<u64>, what: &str| {
            let number = field.ok().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| refused(format!("its {what} is not a number of 32 bits")))
        };
        let mode = number(header.mode().map(u64::from), "mode")?;
        // Old versions of cargo leave both blank.
        let owner = |blank: &[u8; 8], field| if *blank == [0; 8] { Ok(0) } else { field };
        let fields = header.as_old();
        let uid = number(owner(&fields.uid, header.uid()), "owner")?;
        let gid = number(owner(&fields.gid, header.gid()), "group")?;
        if kind == MemberKind::File {
            self.begin(size)?;
        } else if size != 0 && !matches!(kind, MemberKind::Hardlink(_)) {
            return Err(refused("it is not a file and yet has contents".into()));
        }
        let size = if kind == MemberKind::File { size } else { 0 };
        // File type bits above 0o7777 are written by some archivers, and say nothing new.
        Ok(Member { path, kind, mode: (mode & 0o7777) as u16, uid, gid, size })
    }

    /// A name that is too long for a header: the content of a member of its own.
    fn long(&mut self, size: u64) -> Result<Vec<u8>, DebError> {
        if size > LONGEST_NAME {
            return Err(self.damaged("a name is longer than 4096 bytes"));
        }
        self.begin(size)?;
        let mut name = self.content()?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn begin(&mut self, size: u64) -> Result<(), DebError> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        let whole = size.checked_add(padding).filter(|whole| *whole <= self.budget);
        let Some(whole) = whole else {
            return Err(self.damaged("it unpacks to more than a package may"));
        };
        self.budget -= whole;
        (self.left, self.padding) = (size, padding);
        Ok(())
    }

    /// Passes over what nobody read of the current member.
    fn skip(&mut self) -> Result<(), DebError> {
        let rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let passed = io::copy(&mut self.stream.by_ref().take(rest), &mut io::sink());
        match passed {
            Ok(passed) if passed == rest => Ok(()),
            Ok(_) => Err(self.damaged("it ends early")),
            Err(error) => Err(self.damaged(error)),
        }
    }

    /// The next header; `None` at the end, which is two zero blocks and zeros.
    fn header(&mut self) -> Result<Option<Header>, DebError> {
        let mut block = [0; BLOCK];
        self.block(&mut block)?;
        if block == [0; BLOCK] {
            self.block(&mut block)?;
            if block != [0; BLOCK] {
                return Err(self.damaged("a member follows a zero block"));
            }
            return self.expect_end().map(|()| None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The sum over the header with its own field as blanks: POSIX.1-1988, tar.
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        match header.cksum() {
            Ok(expected) if expected == sum => Ok(Some(header)),
            _ => Err(self.damaged("a header's checksum is wrong")),
        }
    }

    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<(), DebError> {
        self.budget = self
            .budget
            .checked_sub(BLOCK as u64)
            .ok_or_else(|| self.damaged("it unpacks to more than a package may"))?;
        self.stream.read_exact(block).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends early"),
            _ => self.damaged(error),
        })
    }

    fn expect_end(&mut self) -> Result<(), DebError> {
        let mut rest = [0; 4096];
        let mut padding = 0;
        loop {
            let count = match self.stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) => return Err(self.damaged(error)),
            };
            padding += count;
            // Archivers fill a record: 20 blocks by default; nobody writes a mebibyte of zeros.
            if padding > 1 << 20 || rest[..count].iter().any(|byte| *byte != 0) {
                return Err(self.damaged("something follows its end"));
            }
        }
    }

    fn damaged(&self, why: impl ToString) -> DebError {
        DebError::Damaged { part: self.part, why: why.to_string() }
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "its name is not UTF-8".to_owned())
}

/// A path below the root, as packages write it: `./usr/bin/x`.
fn relative(text: &str) -> Result<TreePath, String> {
    if text.starts_with('/') {
        return Err("its path is absolute".to_owned());
    }
    TreePath::parse(text).map_err(|error| error.why.to_owned())
}

/// Links are kept as written: in the mounted image they are followed inside it. They must be
/// printable, and of a length that the kernel takes.
fn link_target(target: String) -> Result<String, String> {
    if target.is_empty() || target.len() as u64 >= LONGEST_NAME || target.contains(char::is_control)
    {
        return Err("its link target is empty, too long or not printable".to_owned());
    }
    Ok(target)
}
