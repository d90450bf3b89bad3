//! What every format of the list has to do: one test each, run for all of them.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use mailkiln_bytes_at::ReadAt as _;
use mailkiln_image::disk::Extent;

use super::tests::{disk, extent, fixture};
use super::*;

/// A disk in some formats, made in one pass by so many threads.
pub(crate) fn made(
    formats: &[Format],
    disk: &[u8],
    extents: &[Extent],
    threads: usize,
) -> Vec<Vec<u8>> {
    let scratch = std::env::temp_dir();
    let sparse = Sparse::new(&disk, extents);
    let job = Job {
        disk: &sparse,
        name: "mail.example.test-x86_64",
        scratch: &scratch,
        threads: NonZeroUsize::new(threads),
        map: false,
    };
    let mut bytes = vec![Vec::new(); formats.len()];
    let mut outputs: Vec<(Format, &mut dyn std::io::Write)> = formats
        .iter()
        .zip(&mut bytes)
        .map(|(format, out)| (*format, out as &mut dyn std::io::Write))
        .collect();
    write(&job, &mut outputs).unwrap();
    bytes
}

pub(crate) fn written(format: Format, disk: &[u8], extents: &[Extent]) -> Vec<u8> {
    made(&[format], disk, extents, 2).remove(0)
}

/// All of the disk in a file.
pub(crate) fn opened(folder: &Path, bytes: &[u8]) -> Result<(Format, Vec<u8>), String> {
    let path = folder.join("image");
    fs::write(&path, bytes).unwrap();
    let (format, disk) = open_with_format(&path).map_err(|error| error.to_string())?;
    let bytes = disk.read_vec_at(0, disk.size() as usize).map_err(|error| error.to_string())?;
    Ok((format, bytes))
}

/// Whether what was read is `disk`, followed by nothing but zeros up to the format's step.
fn is_same(format: Format, found: &[u8], disk: &[u8]) -> bool {
    found.len() as u64 == (disk.len() as u64).next_multiple_of(format.step())
        && found.starts_with(disk)
        && found[disk.len()..].iter().all(|byte| *byte == 0)
}

/// A small disk: noise, text, a hole within a cluster, a hole of clusters, an end within a block.
fn small() -> (Vec<u8>, Vec<Extent>) {
    let extents = vec![extent(0, 40_000), extent(300_000, 200_000), extent(1_200_000, 400_512)];
    let mut disk = disk(1_600_512, &extents);
    for (at, byte) in disk[350_000..450_000].iter_mut().enumerate() {
        *byte = b"a mail appliance "[at % 17];
    }
    (disk, extents)
}

#[test]
fn names_and_suffixes_are_no_other_s() {
    let names: BTreeSet<_> = Format::all().map(Format::name).collect();
    let suffixes: BTreeSet<_> = Format::all().map(Format::suffix).collect();
    let count = Format::all().count();
    assert_eq!((names.len(), suffixes.len()), (count, count));
    for format in Format::all() {
        assert_eq!(format.name().parse(), Ok(format));
        assert!(format.step() >= 1 && format.most() >= 1 << 40, "{format}");
        assert!(!format.title().is_empty());
    }
    let error = "floppy\n".parse::<Format>().unwrap_err().to_string();
    assert!(error.starts_with("unknown format `floppy\\n`; expected img, img.gz,"), "{error}");
    assert!(error.contains("img.zst") && error.contains(" or "), "{error}");
}

#[test]
fn targets_name_formats_that_there_are() {
    for target in mailkiln_spec::target::builtin_targets().unwrap() {
        for name in target.formats.iter().chain([&target.default_format]) {
            assert!(Format::named(name.as_str()).is_some(), "{}: {name}", target.file());
        }
    }
}

#[test]
fn the_disk_comes_back_and_the_file_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = fixture();
    for format in Format::all() {
        let (found, read) = opened(folder.path(), &written(format, &disk, &extents)).unwrap();
        // The variants of a format are one to the reader.
        assert_eq!(found.0.qemu, format.0.qemu, "{format} is taken for {found}");
        assert_eq!(found.stream(), format.stream(), "{format} is taken for {found}");
        assert!(is_same(format, &read, &disk), "{format}");
    }
}

#[test]
fn one_pass_and_many_and_any_number_of_threads_give_the_same_bytes() {
    let (disk, extents) = fixture();
    let formats: Vec<Format> = Format::all().collect();
    let together = made(&formats, &disk, &extents, 2);
    for (format, bytes) in formats.iter().zip(&together) {
        for threads in [1, 2, 5] {
            let alone = made(&[*format], &disk, &extents, threads).remove(0);
            assert!(alone == *bytes, "{format} with {threads} threads");
        }
    }
    assert!(made(&formats, &disk, &extents, 1) == together);
}

#[test]
fn sizes_around_the_borders_of_blocks_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mib = 1 << 20;
    for size in [512, 65_535, 65_536, 65_537, mib - 512, mib, mib + 512, 2 * mib, 4 * mib + 512] {
        let whole = extent(0, size);
        let disk = disk(size as usize, &[whole]);
        for format in Format::all().filter(|format| format.step() <= mib) {
            let (_, read) = opened(folder.path(), &written(format, &disk, &[whole])).unwrap();
            assert!(is_same(format, &read, &disk), "{format} of {size} bytes");
            // And of nothing but a hole.
            let empty = vec![0; size as usize];
            let (_, read) = opened(folder.path(), &written(format, &empty, &[])).unwrap();
            assert!(is_same(format, &read, &empty), "{format} of {size} zeros");
        }
    }
}

#[test]
fn files_that_were_cut_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = small();
    // A cut raw disk is a shorter disk, and a fixed VHD without its footer a raw one: there the partition table tells.
    for format in Format::all().filter(|it| !["img", "vhd"].contains(&it.name())) {
        let bytes = written(format, &disk, &extents);
        for part in [1, 3, 7, 9] {
            let end = bytes.len() * part / 10;
            let result = opened(folder.path(), &bytes[..end]);
            let error = result.err().unwrap_or_else(|| panic!("{format} cut at {end} was read"));
            assert!(error.len() > 20 && !error.contains("fill whole buffer"), "{format}: {error}");
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = small();
    for format in Format::all() {
        let bytes = written(format, &disk, &extents);
        // Headers and tables densely, the rest here and there.
        let front = (0..bytes.len().min(1 << 10)).step_by(7);
        let rest = (0..bytes.len()).step_by(bytes.len() / 61 + 1);
        let back = (bytes.len().saturating_sub(1 << 10)..bytes.len()).step_by(13);
        let checked = matches!(format.name(), "img.zst" | "img.xz" | "img.gz" | "tar.gz");
        let path = folder.path().join("image");
        for at in front.chain(rest).chain(back) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x41;
            fs::write(&path, &bad).unwrap();
            let Ok((found, image)) = open_with_format(&path) else { continue };
            let length = image.size().min(disk.len() as u64) as usize;
            let Ok(read) = image.read_vec_at(0, length) else { continue };
            // With a checksum over everything, what is read is what was written.
            if checked && found == format {
                assert!(read == disk, "{format}: byte {at}");
            }
        }
    }
}

/// A disk whose second half can't be read.
struct Failing(u64);

impl mailkiln_bytes_at::ReadAt for Failing {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        if offset + buffer.len() as u64 > self.0 / 2 {
            return Err(std::io::Error::other("the medium is broken"));
        }
        buffer.fill(7);
        Ok(())
    }
}

#[test]
fn disks_that_are_too_long_are_refused() {
    for format in Format::all() {
        let long = Failing(format.most() + 1);
        let sparse = Sparse::new(&long, &[]);
        let scratch = std::env::temp_dir();
        let job = Job { disk: &sparse, name: "x", scratch: &scratch, threads: None, map: false };
        let error = write(&job, &mut [(format, &mut Vec::new())]).unwrap_err().to_string();
        assert!(error.contains("holds disks of up to"), "{format}: {error}");
    }
}
