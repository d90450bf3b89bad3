//! Flashing: onto plain files, and onto targets that break in every way that media do.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use mailkiln_format::{Bmap, Range, Sparse};
use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;

use super::*;

const MIB: usize = 1 << 20;

/// A disk of `size` bytes with a boot sector, noise in its middle and at its end, and else zeros.
fn disk(size: usize) -> Vec<u8> {
    let mut disk = vec![0; size];
    let mut state = 88_172_645_463_325_252_u64;
    let end = size.saturating_sub(17_000)..size;
    for range in [0..size.min(20_000), size / 3..size / 2, end] {
        for byte in &mut disk[range] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// The map of a disk as its zeros say it.
fn map(disk: &[u8]) -> Bmap {
    let used = disk.chunks(4096).enumerate().filter(|(_, block)| block.iter().any(|&it| it != 0));
    let extents: Vec<_> = used
        .map(|(number, block)| Extent { offset: number as u64 * 4096, length: block.len() as u64 })
        .collect();
    Bmap::of(&Sparse::new(&disk, &extents)).unwrap()
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// An image and its map.
    fn mapped(&self, name: &str, disk: &[u8]) -> Image {
        self.write(&format!("{name}.bmap"), map(disk).to_xml().as_bytes());
        Image::open(&self.write(name, disk)).unwrap()
    }
}

/// How a target breaks.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It is pulled out when so many bytes were written.
    Vanishes(u64),
    /// The system only says that there is an error, and the entry in `/sys` is gone.
    VanishesQuietly(u64),
    /// It takes no more than so many bytes.
    Full(u64),
    /// One bit comes back wrong.
    Wrong(u64),
    /// What is written from here on ends up at the start, as on cards that lie about their size.
    Wraps(u64),
    /// It does not write what is at this place, and says that it did.
    Ignores(u64),
    /// It can't be read here.
    Unreadable(u64),
    /// The error comes only when everything is to be on the medium.
    FailsToSync,
    /// Somebody presses Ctrl-C here.
    Interrupted(u64),
}

/// A device in memory.
struct Memory {
    bytes: Vec<u8>,
    fault: Fault,
    block: usize,
    blank: bool,
    present: bool,
    written: u64,
    synced: bool,
    interrupt: Interrupt,
    /// Offset and length of each write.
    log: Vec<(u64, usize)>,
}

impl Memory {
    fn new(size: usize, fault: Fault) -> Self {
        // What was on the device before: a disk that boots.
        let mut bytes = vec![0xa5; size];
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        Self {
            bytes,
            fault,
            block: 512,
            blank: false,
            present: true,
            written: 0,
            synced: false,
            interrupt: Interrupt::default(),
            log: Vec::new(),
        }
    }

    fn boots(&self) -> bool {
        self.bytes[..MIB].iter().any(|&byte| byte != 0)
    }
}

impl Target for Memory {
    fn path(&self) -> &Path {
        Path::new("/dev/sdx")
    }
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn block(&self) -> usize {
        self.block
    }
    fn is_blank(&self) -> bool {
        self.blank
    }
    fn is_present(&self) -> bool {
        self.present
    }
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        assert!(at.is_multiple_of(self.block as u64) && bytes.len().is_multiple_of(self.block));
        let end = at + bytes.len() as u64;
        match self.fault {
            Fault::Vanishes(limit) if self.written >= limit => {
                return Err(io::Error::from_raw_os_error(nix::libc::ENODEV));
            }
            Fault::VanishesQuietly(limit) if self.written >= limit => {
                self.present = false;
                return Err(io::Error::from_raw_os_error(nix::libc::EIO));
            }
            Fault::Full(limit) if end > limit => {
                return Err(io::Error::from_raw_os_error(nix::libc::ENOSPC));
            }
            Fault::Interrupted(place) if end > place => self.interrupt.ask(),
            _ => {}
        }
        self.log.push((at, bytes.len()));
        self.written += bytes.len() as u64;
        self.synced = false;
        let place = match self.fault {
            Fault::Wraps(limit) if at >= limit => at - limit,
            Fault::Ignores(place) if (at..end).contains(&place) => return Ok(()),
            _ => at,
        };
        self.bytes[place as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.synced = true;
        match self.fault {
            // The head was emptied before.
            Fault::FailsToSync if self.log.len() > 1 => {
                Err(io::Error::from_raw_os_error(nix::libc::EIO))
            }
            _ => Ok(()),
        }
    }
    fn forget(&mut self) {}
    fn read_at(&mut self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        assert!(self.synced, "what is read back was synced");
        assert!(at.is_multiple_of(self.block as u64) && bytes.len().is_multiple_of(self.block));
        let range = at..at + bytes.len() as u64;
        bytes.copy_from_slice(&self.bytes[range.start as usize..range.end as usize]);
        match self.fault {
            Fault::Wrong(place) if range.contains(&place) => bytes[(place - at) as usize] ^= 4,
            Fault::Unreadable(place) if range.contains(&place) => {
                return Err(io::Error::from_raw_os_error(nix::libc::EIO));
            }
            _ => {}
        }
        Ok(())
    }
    fn rescan(&mut self) -> bool {
        true
    }
}

fn onto(image: &mut Image, target: &mut Memory) -> Result<Flashed, FlashError> {
    let stop = target.interrupt.clone();
    flash(image, target, &Silent, &stop)
}

#[test]
fn a_device_that_breaks_is_told_of_and_does_not_boot() {
    let desk = Desk::new();
    let disk = disk(9 * MIB + 512);
    let mib = MIB as u64;
    let cases: &[(Fault, &str)] = &[
        (Fault::Vanishes(0), "gone away at byte 0"),
        (Fault::Vanishes(3 * mib), "gone away at byte"),
        (Fault::VanishesQuietly(3 * mib), "was it pulled out"),
        (Fault::Full(5 * mib), "no room is left for /dev/sdx at byte 5242880"),
        (Fault::Wrong(4 * mib + 7), "the bytes 4194304 to 5242879 have another SHA-256"),
        (Fault::Wrong(100), "the bytes 0 to 1048575 have another SHA-256"),
        (Fault::Wraps(4 * mib), "have another SHA-256"),
        (Fault::Ignores(3 * mib), "the bytes 3145728 to 4194303"),
        (Fault::Unreadable(2 * mib), "can't read /dev/sdx back at byte 2097152"),
        (Fault::FailsToSync, "can't write to /dev/sdx"),
        (Fault::Interrupted(3 * mib + 1), "interrupted at byte 4194304"),
        (Fault::Interrupted(9 * mib + 1), "interrupted at byte 1048576"),
    ];
    let mut image = Image::open(&desk.write("disk.img", &disk)).unwrap();
    for (fault, words) in cases {
        let mut target = Memory::new(10 * MIB, *fault);
        let error = onto(&mut image, &mut target).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!error.is_refusal(), "{words}");
        // A device that is gone at once was not touched; one that can't be written keeps nothing.
        assert!(*fault == Fault::Vanishes(0) || !target.boots(), "{words}");
    }
    // The last write of the head: emptying it again is all that is left to do.
    let mut target = Memory::new(10 * MIB, Fault::Vanishes(9 * mib + 512));
    let error = onto(&mut image, &mut target).unwrap_err();
    assert!(matches!(error, FlashError::Vanished { at: 0, .. }) && !target.boots(), "{error}");
}

#[test]
fn everything_is_written_and_the_head_last() {
    let desk = Desk::new();
    let disk = disk(9 * MIB + 512);
    let mut image = Image::open(&desk.write("disk.img", &disk)).unwrap();
    for block in [512, 4096] {
        let mut target = Memory::new(10 * MIB, Fault::None);
        target.block = block;
        let flashed = onto(&mut image, &mut target).unwrap();
        assert_eq!((flashed.size, flashed.written), (disk.len() as u64, disk.len() as u64));
        assert!(target.bytes[..disk.len()] == disk);
        assert_eq!(target.log.first(), Some(&(0, MIB)), "the old table goes first");
        assert_eq!(target.log.last(), Some(&(0, MIB)), "the new one comes last");
        assert!(target.bytes[disk.len().next_multiple_of(block)..].iter().all(|&it| it == 0xa5));
    }
}

#[test]
fn only_what_the_map_names_is_written() {
    let desk = Desk::new();
    let disk = disk(9 * MIB + 512);
    let map = map(&disk);
    let mut image = desk.mapped("disk.img", &disk);
    let mut target = Memory::new(10 * MIB, Fault::None);
    let flashed = onto(&mut image, &mut target).unwrap();
    assert_eq!(flashed.written, map.mapped());
    assert!(flashed.written < disk.len() as u64 / 3);
    let mut expected = vec![0xa5; 10 * MIB];
    expected[..MIB].fill(0);
    for range in &map.ranges {
        let range = range.start as usize..range.end as usize;
        expected[range.clone()].copy_from_slice(&disk[range]);
    }
    assert!(target.bytes == expected);
}

#[test]
fn image_and_map_have_to_fit() {
    let desk = Desk::new();
    let disk = disk(5 * MIB);
    let path = desk.write("disk.img", &disk);
    let with = |bmap: &Bmap| {
        desk.write("disk.img.bmap", bmap.to_xml().as_bytes());
        let mut target = Memory::new(6 * MIB, Fault::None);
        let result = Image::open(&path).and_then(|mut image| onto(&mut image, &mut target));
        assert!(result.is_ok() || !target.boots() || target.log.is_empty());
        result
    };
    let good = map(&disk);
    assert!(with(&good).is_ok());
    // What the medium has wrong is not laid at the image's door.
    let mut worn = Memory::new(6 * MIB, Fault::Wrong(good.ranges[1].start + 7));
    let error = onto(&mut Image::open(&path).unwrap(), &mut worn).unwrap_err();
    assert!(matches!(error, FlashError::Mismatch { .. }) && !worn.boots(), "{error}");
    // Ranges longer than a piece are other tools' way.
    let whole = Range { start: 0, end: 5 << 20, sha256: Sha256::of(&disk) };
    assert!(with(&Bmap { ranges: vec![whole], ..good.clone() }).is_ok());
    let wrong = Range { sha256: Sha256::of(b""), ..whole };
    let result = with(&Bmap { ranges: vec![wrong], ..good.clone() });
    assert!(matches!(result, Err(FlashError::Misfit { at: 0, .. })));
    let mut altered = good.clone();
    altered.ranges[1].sha256 = Sha256::of(b"");
    assert!(matches!(with(&altered), Err(FlashError::Misfit { .. })));
    // The image lost a piece that the map has: also where zeros need not be written.
    let mut lost = disk.clone();
    let range = good.ranges[1].start as usize..good.ranges[1].end as usize;
    lost[range].fill(0);
    desk.write("disk.img", &lost);
    assert!(matches!(with(&good), Err(FlashError::Misfit { .. })));
    let mut blank = Memory::new(6 * MIB, Fault::None);
    blank.blank = true;
    let error = onto(&mut Image::open(&path).unwrap(), &mut blank).unwrap_err();
    assert!(matches!(error, FlashError::Misfit { .. }) && !blank.boots(), "{error}");
    desk.write("disk.img", &disk);
    // Something that is not zero was left out.
    let mut lacking = good.clone();
    let left_out = lacking.ranges.remove(1);
    let result = with(&lacking);
    assert!(
        matches!(result, Err(FlashError::Misfit { at, .. }) if at / 4096 == left_out.start / 4096)
    );
    let longer = Bmap { image_size: good.image_size + 4096, ..good };
    assert!(matches!(with(&longer), Err(FlashError::Misfit { .. })));
    desk.write("disk.img.bmap", b"<bmap/>");
    assert!(matches!(Image::open(&path), Err(FlashError::Map { .. })));
}

/// Runs a tool that has to be there: the images are what it makes.
fn pack(tool: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(tool).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}; install it"));
    assert!(output.status.success(), "{tool}: {output:?}");
}

#[test]
fn what_gzip_xz_and_zstd_make_is_read() {
    let disk = disk(5 * MIB + 512);
    let cases: [(&str, &[&str], Compression); 5] = [
        ("gzip", &["-k"], Compression::Gzip),
        ("xz", &["-k", "-1"], Compression::Xz),
        ("xz", &["-k", "-9", "-T2", "--block-size=1MiB"], Compression::Xz),
        ("zstd", &["-q"], Compression::Zstd),
        ("zstd", &["-q", "--long=27", "-19"], Compression::Zstd),
    ];
    for (tool, arguments, compression) in cases {
        let ending = if tool == "zstd" { "zst" } else { tool.trim_end_matches("ip") };
        for with_map in [false, true] {
            let desk = Desk::new();
            let path = desk.write("disk.img", &disk);
            pack(tool, arguments, &path);
            let packed = desk.path(&format!("disk.img.{ending}"));
            // The ending does not matter: what is in the file does.
            let named = desk.path("image");
            fs::rename(&packed, &named).unwrap();
            if with_map {
                desk.write("image.bmap", map(&disk).to_xml().as_bytes());
            }
            let mut image = Image::open(&named).unwrap();
            assert_eq!(image.compression(), compression, "{tool}");
            assert_eq!(image.known_size().is_some(), with_map);
            assert_eq!(image.measure(&Silent).unwrap(), disk.len() as u64);
            let target = desk.path("target");
            File::create(&target).unwrap().set_len(6 << 20).unwrap();
            let mut target = Medium::file(&target).unwrap();
            flash(&mut image, &mut target, &Silent, &Interrupt::default()).unwrap();
            let found = fs::read(desk.path("target")).unwrap();
            assert!(found[..disk.len()] == disk, "{tool} {arguments:?} {with_map}");
            // Cut short, it is damaged.
            let whole = fs::read(&named).unwrap();
            fs::write(&named, &whole[..whole.len() - 20_000]).unwrap();
            let cut = Image::open(&named).and_then(|mut image| {
                flash(
                    &mut image,
                    &mut Memory::new(6 * MIB, Fault::None),
                    &Silent,
                    &Interrupt::default(),
                )
            });
            assert!(matches!(cut, Err(FlashError::Damaged { .. })), "{tool}: {cut:?}");
        }
    }
}

#[test]
fn two_streams_in_one_file_are_one_disk() {
    let disk = disk(3 * MIB);
    for (tool, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        let desk = Desk::new();
        let mut joined = Vec::new();
        for (number, part) in disk.chunks(MIB + 100_000).enumerate() {
            let part = desk.write(&number.to_string(), part);
            pack(tool, &["-q"], &part);
            joined.extend(fs::read(part.with_extension(ending)).unwrap());
        }
        let mut image = Image::open(&desk.write("image", &joined)).unwrap();
        let mut target = Memory::new(3 * MIB, Fault::None);
        onto(&mut image, &mut target).unwrap();
        assert!(target.bytes == disk, "{tool}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let desk = Desk::new();
    let refused = |path: &Path| {
        let error = Image::open(path).unwrap_err();
        assert!(error.is_refusal(), "{error}");
        error.to_string()
    };
    assert!(refused(&desk.path("none")).contains("there is no image"));
    assert!(refused(desk.0.path()).contains("not a plain file"));
    assert!(refused(&desk.write("a", b"[host]\n")).contains("boot sector"));
    assert!(refused(&desk.write("b", &vec![0; MIB])).contains("boot sector"));
    assert!(refused(&desk.write("c", b"QFI\xfb\0\0\0\x03")).contains("--format img.zst"));
    assert!(refused(&desk.write("d", b"")).contains("boot sector"));
    let path = desk.write("e", &disk(MIB));
    let image = Image::open(&path).unwrap();
    let wanted = Sha256::of(&fs::read(&path).unwrap());
    image.check_digest(wanted, &Silent).unwrap();
    let error = image.check_digest(Sha256::of(b""), &Silent).unwrap_err();
    assert!(matches!(error, FlashError::Digest { found, .. } if found == wanted));
}

#[test]
fn what_is_too_small_is_left_alone() {
    let desk = Desk::new();
    let mut image = Image::open(&desk.write("disk.img", &disk(5 * MIB))).unwrap();
    let mut target = Memory::new(5 * MIB - 512, Fault::None);
    let error = onto(&mut image, &mut target).unwrap_err();
    assert!(error.is_refusal() && target.log.is_empty());
    assert!(error.to_string().contains("too small"), "{error}");
}

#[test]
fn a_sparse_target_of_64_gigabytes_stays_sparse() {
    let desk = Desk::new();
    let disk = disk(40 * MIB);
    // Without a map: what is zero in the image is zero in a new file already.
    let mut image = Image::open(&desk.write("disk.img", &disk)).unwrap();
    let path = desk.path("card");
    File::create(&path).unwrap().set_len(64 << 30).unwrap();
    let mut target = Medium::file(&path).unwrap();
    let flashed = flash(&mut image, &mut target, &Silent, &Interrupt::default()).unwrap();
    assert!(flashed.written < 20 << 20, "{flashed:?}");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), 64 << 30);
    assert!(metadata.blocks() * 512 < 20 << 20, "{} bytes are used", metadata.blocks() * 512);
    let mut found = vec![0; disk.len()];
    File::open(&path).unwrap().read_exact_at(&mut found, 0).unwrap();
    assert!(found == disk);
    // Not new any more: every zero is written.
    drop(target);
    File::options().write(true).open(&path).unwrap().write_all_at(&[7; 9], 20 << 20).unwrap();
    let mut target = Medium::file(&path).unwrap();
    let flashed = flash(&mut image, &mut target, &Silent, &Interrupt::default()).unwrap();
    assert_eq!(flashed.written, disk.len() as u64);
    File::open(&path).unwrap().read_exact_at(&mut found, 0).unwrap();
    assert!(found == disk);
}
