//! Device-mapper: makes `/dev/mapper/NAME` out of one read-only target.
//!
//! In: a name, a UUID, a target with its table text. Out: the device node. This is the one place
//! of the program with `unsafe` in it: rustix has no device-mapper calls.
//! Source: linux/dm-ioctl.h (version 4.0.0 of the interface, which every kernel accepts).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// One target that covers the whole device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Kind of target, such as `verity`.
    pub kind: &'a str,
    /// Length of the device in sectors of 512 bytes.
    pub sectors: u64,
    /// Parameters in the target's own syntax.
    pub table: &'a str,
}

/// Why a device could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DmError {
    /// The control device is not there.
    #[error("cannot open {CONTROL}: {0}; the initrd needs the module dm_mod of this very kernel")]
    Control(#[source] io::Error),
    /// A name, UUID or table does not fit the kernel's fixed fields.
    #[error("the device-mapper {0} is too long")]
    TooLong(&'static str),
    /// The kernel refused one step.
    #[error("the kernel refused to {step} the device {name}: {source}; {hint}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// Name of the device.
        name: String,
        /// Errno of the call.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The node below `/dev/mapper` could not be made.
    #[error("cannot make {path}: {source}")]
    Node {
        /// The node.
        path: PathBuf,
        /// Errno of the call.
        source: io::Error,
    },
}

const CONTROL: &str = "/dev/mapper/control";

/// Length of `struct dm_ioctl`.
const HEADER: usize = 312;
const NAME: std::ops::Range<usize> = 48..176;
const UUID: std::ops::Range<usize> = 176..305;
/// Length of `struct dm_target_spec`, which the parameters follow.
const TARGET: usize = 40;
const TARGET_KIND: std::ops::Range<usize> = 24..40;
const READ_ONLY: u32 = 1;
/// A verity table has about 200 bytes, plus 512 digits of salt at most.
const BUFFER: usize = 4096;

const DEV_CREATE: Opcode = request(3);
const TABLE_LOAD: Opcode = request(9);
/// Without the suspend flag this call resumes, that is, makes the loaded table live.
const DEV_SUSPEND: Opcode = request(6);

const fn request(number: u8) -> Opcode {
    // The kernel's macro puts only the header's size into the number, whatever follows it.
    opcode::read_write::<[u8; HEADER]>(0xfd, number)
}

/// What the kernel reads and writes: a header and, for `TABLE_LOAD`, a target.
#[repr(C, align(8))]
struct Request([u8; BUFFER]);

impl Request {
    fn new(name: &str, uuid: &str) -> Result<Self, DmError> {
        let mut request = Self([0; BUFFER]);
        let size = u32::try_from(BUFFER).map_err(|_| DmError::TooLong("request"))?;
        let start = u32::try_from(HEADER).map_err(|_| DmError::TooLong("request"))?;
        request.put(0, &4u32.to_ne_bytes());
        request.put(12, &size.to_ne_bytes());
        request.put(16, &start.to_ne_bytes());
        request.put_text(NAME, name, "name")?;
        request.put_text(UUID, uuid, "UUID")?;
        Ok(request)
    }

    fn with_target(mut self, target: &Target<'_>) -> Result<Self, DmError> {
        self.put(20, &1u32.to_ne_bytes());
        self.put(28, &READ_ONLY.to_ne_bytes());
        self.put(HEADER + 8, &target.sectors.to_ne_bytes());
        let kind = HEADER + TARGET_KIND.start..HEADER + TARGET_KIND.end;
        self.put_text(kind, target.kind, "target")?;
        self.put_text(HEADER + TARGET..BUFFER, target.table, "table")?;
        Ok(self)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Text with at least one NUL after it.
    fn put_text(
        &mut self,
        field: std::ops::Range<usize>,
        text: &str,
        what: &'static str,
    ) -> Result<(), DmError> {
        if text.len() >= field.len() {
            return Err(DmError::TooLong(what));
        }
        self.put(field.start, text.as_bytes());
        Ok(())
    }

    /// Minor number of the device, from the kernel's 64-bit `dev` (`new_encode_dev`).
    fn minor(&self) -> u64 {
        let mut dev = [0; 8];
        dev.copy_from_slice(&self.0[40..48]);
        let dev = u64::from_ne_bytes(dev);
        (dev & 0xff) | ((dev >> 12) & 0xf_ff00)
    }
}

/// Makes the device `name` with one read-only target and returns `/dev/mapper/NAME`, a link to the
/// node that devtmpfs made, as udev would have set it.
///
/// # Errors
/// [`DmError`] naming the step that the kernel refused.
pub fn create(name: &str, uuid: &str, target: &Target<'_>) -> Result<PathBuf, DmError> {
    let control =
        OpenOptions::new().read(true).write(true).open(CONTROL).map_err(DmError::Control)?;
    let refused = |step, hint| {
        move |source: io::Error| DmError::Refused { step, name: name.to_owned(), source, hint }
    };
    let mut created = Request::new(name, uuid)?;
    call::<DEV_CREATE>(&control, &mut created)
        .map_err(refused("create", "a device of that name must not exist yet"))?;
    call::<TABLE_LOAD>(&control, &mut Request::new(name, "")?.with_target(target)?).map_err(
        refused("load the table of", "the line of the kernel above says which parameter it means"),
    )?;
    call::<DEV_SUSPEND>(&control, &mut Request::new(name, "")?)
        .map_err(refused("start", "see the kernel's lines above"))?;
    link(name, created.minor())
}

fn link(name: &str, minor: u64) -> Result<PathBuf, DmError> {
    let path = Path::new("/dev/mapper").join(name);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(DmError::Node { path, source });
        }
        _ => {}
    }
    match symlink(format!("../dm-{minor}"), &path) {
        Ok(()) => Ok(path),
        Err(source) => Err(DmError::Node { path, source }),
    }
}

#[allow(unsafe_code)]
fn call<const OPCODE: Opcode>(control: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: OPCODE is one of the three device-mapper requests above, which read and write a
    // `struct dm_ioctl` and touch no more than `data_size` bytes from its start. `Request::new`
    // sets `data_size` to the length of the buffer, and nothing else points into it.
    unsafe { ioctl(control, Updater::<OPCODE, Request>::new(request)) }.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_are_those_of_the_kernel() {
        assert_eq!(DEV_CREATE, 0xc138_fd03);
        assert_eq!(TABLE_LOAD, 0xc138_fd09);
        assert_eq!(DEV_SUSPEND, 0xc138_fd06);
    }

    #[test]
    fn target_lies_where_the_kernel_looks() {
        let target = Target { kind: "verity", sectors: 616, table: "1 /dev/a /dev/b" };
        let request = Request::new("root", "U").unwrap().with_target(&target).unwrap().0;
        assert_eq!(&request[..20], b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\x38\x01\0\0");
        assert_eq!(&request[20..24], &1u32.to_ne_bytes());
        assert_eq!(&request[48..53], b"root\0");
        assert_eq!(&request[176..178], b"U\0");
        assert_eq!(&request[312..328], b"\0\0\0\0\0\0\0\0\x68\x02\0\0\0\0\0\0");
        assert_eq!(&request[336..343], b"verity\0");
        assert_eq!(&request[352..368], b"1 /dev/a /dev/b\0");
    }

    #[test]
    fn long_text_is_refused() {
        assert!(matches!(Request::new(&"x".repeat(128), ""), Err(DmError::TooLong("name"))));
        assert!(Request::new(&"x".repeat(127), &"y".repeat(128)).is_ok());
        let target = Target { kind: "verity", sectors: 8, table: &"t".repeat(3744) };
        let request = Request::new("root", "").unwrap();
        assert!(matches!(request.with_target(&target), Err(DmError::TooLong("table"))));
    }

    #[test]
    fn minor_is_decoded() {
        let mut request = Request::new("root", "").unwrap();
        request.put(40, &0x0010_fd02u64.to_ne_bytes());
        assert_eq!(request.minor(), 0x102);
    }
}
