//! The initrd: a cpio archive ("newc") that the kernel unpacks into its first root.
//!
//! In: files, directories and symlinks by path. Out: the archive, or the archive compressed
//! with zstd. No time, owner or inode number of any machine gets in. Format: the kernel's
//! `driver-api/early-userspace/buffer-format.rst`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write as _};

use mailkiln_tree::TreePath;

/// zstd level. Every build compresses the initrd, so time counts: on 5 MB of trixie's modules
/// level 9 takes 0.1 s and level 15 ten times that, for the same 1.34 MB.
const LEVEL: i32 = 9;

/// Archives end on this many bytes, as every cpio program pads them.
const PADDING: usize = 512;

/// File type bits of `st_mode`.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive in the making. Entries are written in path order, directories that nobody added
/// are made with mode 0755.
#[derive(Debug, Clone, Default)]
pub struct Archive<'a> {
    entries: BTreeMap<TreePath, Entry<'a>>,
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    mode: u32,
    content: Cow<'a, [u8]>,
}

impl<'a> Archive<'a> {
    /// Adds a regular file; `mode` holds the permission bits.
    pub fn file(&mut self, path: TreePath, mode: u16, content: impl Into<Cow<'a, [u8]>>) {
        self.put(path, FILE | u32::from(mode & 0o7777), content.into());
    }

    /// Adds a directory; `mode` holds the permission bits.
    pub fn directory(&mut self, path: TreePath, mode: u16) {
        self.put(path, DIRECTORY | u32::from(mode & 0o7777), Cow::default());
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: TreePath, target: &str) {
        self.put(path, SYMLINK | 0o777, target.as_bytes().to_vec().into());
    }

    fn put(&mut self, path: TreePath, mode: u32, content: Cow<'a, [u8]>) {
        let mut above = path.parent();
        while let Some(parent) = above.filter(|parent| !parent.as_str().is_empty()) {
            above = parent.parent();
            let directory = Entry { mode: DIRECTORY | 0o755, content: Cow::default() };
            self.entries.entry(parent).or_insert(directory);
        }
        self.entries.insert(path, Entry { mode, content });
    }

    /// The archive, not compressed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            append(&mut out, number, path.as_str(), entry.mode, &entry.content);
        }
        append(&mut out, 0, "TRAILER!!!", 0, &[]);
        out.resize(out.len().next_multiple_of(PADDING), 0);
        out
    }

    /// The archive as one zstd frame with a checksum, which a kernel with `CONFIG_RD_ZSTD`
    /// unpacks.
    ///
    /// # Errors
    /// When zstd can't get its memory.
    pub fn to_zstd(&self) -> io::Result<Vec<u8>> {
        let plain = self.to_bytes();
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(plain.len() as u64))?;
        encoder.write_all(&plain)?;
        encoder.finish()
    }
}

fn append(out: &mut Vec<u8>, inode: u32, path: &str, mode: u32, content: &[u8]) {
    let links = if mode & 0o170_000 == DIRECTORY { 2 } else { 1 };
    // inode, mode, uid, gid, links, mtime, length, device × 2, its device × 2, name, checksum
    let fields =
        [inode, mode, 0, 0, links, 0, content.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
    out.extend(b"070701");
    for field in fields {
        out.extend(format!("{field:08x}").as_bytes());
    }
    out.extend(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(content);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use mailkiln_pin::Sha256;

    use super::*;

    fn fixture() -> Archive<'static> {
        let path = |text| TreePath::parse(text).unwrap();
        let mut archive = Archive::default();
        archive.file(path("init"), 0o755, b"program".as_slice());
        archive.file(path("lib/modules/6.12/modules.dep"), 0o644, b"a: b\n".as_slice());
        archive.directory(path("lib"), 0o700);
        archive.directory(path("proc"), 0o555);
        archive.symlink(path("sbin"), "usr/bin");
        archive
    }

    #[test]
    fn bytes_are_pinned() {
        assert_eq!(
            Sha256::of(&fixture().to_bytes()).to_string(),
            "15e89d1e6402d1797a82b9521cd79e69126fa99388296f5fd7e115de820df4b0"
        );
        let packed = fixture().to_zstd().unwrap();
        assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), fixture().to_bytes());
    }

    #[test]
    fn cpio_lists_what_was_added() {
        let spawned = Command::new("cpio")
            .args(["-itv", "--numeric-uid-gid", "--quiet"])
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut cpio = match spawned {
            Ok(cpio) => cpio,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "cpio: {error}; install it");
                return;
            }
        };
        cpio.stdin.take().unwrap().write_all(&fixture().to_bytes()).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        let listing = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = listing
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace();
                (words.next().unwrap(), line.split_once("1970 ").unwrap().1)
            })
            .collect();
        let expected = [
            ("-rwxr-xr-x", "init"),
            ("drwx------", "lib"),
            ("drwxr-xr-x", "lib/modules"),
            ("drwxr-xr-x", "lib/modules/6.12"),
            ("-rw-r--r--", "lib/modules/6.12/modules.dep"),
            ("dr-xr-xr-x", "proc"),
            ("lrwxrwxrwx", "sbin -> usr/bin"),
        ];
        assert_eq!(names, expected);
    }
}
