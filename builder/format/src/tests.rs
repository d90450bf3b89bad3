//! Formats: written, read back, judged by zstd and qemu-img.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use mailkiln_squashfs::ReadAt as _;
use proptest::prelude::*;

use super::*;

/// Runs a judge; where it is not installed the test passes, but not on CI.
pub(crate) fn judge(tool: &str, arguments: &[&OsStr]) -> Option<Vec<u8>> {
    match Command::new(tool).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
            Some(output.stdout)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{tool}: {error}; install it");
            None
        }
    }
}

/// A disk of `size` bytes with noise in `extents`.
pub(crate) fn disk(size: usize, extents: &[Extent]) -> Vec<u8> {
    let mut disk = vec![0; size];
    let mut state = 88_172_645_463_325_252_u64;
    for extent in extents {
        for byte in &mut disk[extent.offset as usize..][..extent.length as usize] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
    }
    disk
}

pub(crate) const fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length }
}

/// Across the border of two frames, of clusters, and at both ends.
pub(crate) fn fixture() -> (Vec<u8>, Vec<Extent>) {
    let extents = vec![
        extent(0, 17_408),
        extent(1 << 20, 100_000),
        extent((32 << 20) - 1000, 70_000),
        extent((40 << 20) - 16_896, 16_896),
    ];
    (disk(40 << 20, &extents), extents)
}

fn written(format: Format, disk: &[u8], extents: &[Extent]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::write(format, &Sparse::new(&disk, extents), &mut out).unwrap();
    out
}

fn opened(folder: &Path, bytes: &[u8]) -> Result<Vec<u8>, BadImage> {
    let path = folder.join("image");
    fs::write(&path, bytes).unwrap();
    let disk = open(&path)?;
    Ok(disk.read_vec_at(0, disk.size() as usize).unwrap())
}

#[test]
fn every_format_gives_the_disk_back() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = fixture();
    for format in Format::ALL {
        let bytes = written(format, &disk, &extents);
        assert!(opened(folder.path(), &bytes).unwrap() == disk, "{format}");
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert!("vhd".parse::<Format>().is_err());
}

#[test]
fn zstd_and_qemu_agree() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = fixture();
    let paths = Format::ALL.map(|format| {
        let path = folder.path().join(format!("disk.{format}"));
        fs::write(&path, written(format, &disk, &extents)).unwrap();
        path
    });
    let [img, zst, qcow2] = paths.each_ref().map(|path| path.as_ref());
    if let Some(expanded) = judge("zstd", &["-dcq".as_ref(), zst]) {
        assert!(expanded == disk);
    }
    judge("qemu-img", &["check".as_ref(), "-q".as_ref(), qcow2]);
    judge("qemu-img", &["compare".as_ref(), "-q".as_ref(), img, qcow2]);
}

#[test]
fn the_second_copy_of_the_kernel_costs_nothing() {
    // As on the boot partition: the same bytes twice, not at the same alignment.
    let kernel = disk(12 << 20, &[extent(0, 12 << 20)]);
    let image = [vec![0; 3 << 20], kernel.clone(), vec![0; 1_000_512], kernel, vec![0; 1 << 20]];
    let image = image.concat();
    let size = written(Format::ImgZst, &image, &[extent(0, image.len() as u64)]).len();
    assert!(size < (12 << 20) + 50_000, "{size}");
}

#[test]
fn bytes_are_pinned() {
    let (disk, extents) = fixture();
    let digests = [Format::ImgZst, Format::Qcow2]
        .map(|format| Sha256::of(&written(format, &disk, &extents)).to_string());
    assert_eq!(
        digests,
        [
            "e6acacb16888ddf32f1ff28ad80db367267ff136d8d98d8c7510a80c2b255e6d",
            "217593e96e570434b3eb87c24261a019396d4cf9242fa2928bee40d338d275ec",
        ]
    );
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".mailkiln-left");
    let foreign = folder.path().join("mailkiln-notes");
    fs::write(&left, "half an image").unwrap();
    fs::write(&foreign, "").unwrap();
    let living = publish::unnamed(folder.path()).unwrap();
    let second = publish::unnamed(folder.path()).unwrap();
    assert!(!left.exists() && foreign.exists());
    assert!(living.path().exists() && second.path().exists());
}

#[test]
fn images_are_published_whole_with_their_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = fixture();
    let raw = publish::unnamed(folder.path()).unwrap();
    fs::write(raw.path(), &disk).unwrap();
    let all = publish(raw, &extents, &Format::ALL, folder.path(), "mail-x86_64").unwrap();
    assert_eq!(all.len(), Format::ALL.len());
    let mut mapped = 0;
    for published in all {
        let bytes = fs::read(&published.path).unwrap();
        assert_eq!(published.sha256, Sha256::of(&bytes));
        assert_eq!(published.size, bytes.len() as u64);
        let name = published.path.file_name().unwrap().to_str().unwrap();
        let sum = fs::read_to_string(folder.path().join(format!("{name}.sha256"))).unwrap();
        assert_eq!(sum, format!("{}  {name}\n", published.sha256));
        if let Ok(text) = fs::read_to_string(folder.path().join(format!("{name}.bmap"))) {
            let expected = Bmap::of(&Sparse::new(&disk.as_slice(), &extents)).unwrap();
            assert_eq!(Bmap::parse(&text).unwrap(), expected);
            fs::remove_file(folder.path().join(format!("{name}.bmap"))).unwrap();
            mapped += 1;
        }
        assert!(opened(folder.path(), &bytes).unwrap() == disk, "{name}");
        fs::remove_file(folder.path().join("image")).unwrap();
    }
    assert_eq!(mapped, 2, "img and img.zst have a block map");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6, "nothing else is left");
    let raw = publish::unnamed(folder.path()).unwrap();
    let error = publish(raw, &[], &[Format::Qcow2], Path::new("/dev/null"), "x").unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6, "nor after a failure");
}

#[test]
fn damaged_images_are_refused_or_read_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let small = disk(200_000, &[extent(0, 100_000)]);
    let zst = written(Format::ImgZst, &small, &[extent(0, 100_000)]);
    for end in (5..zst.len()).step_by(997) {
        assert!(opened(folder.path(), &zst[..end]).is_err(), "cut at {end}");
    }
    for at in (4..zst.len()).step_by(499) {
        let mut bad = zst.clone();
        bad[at] ^= 0x41;
        assert!(opened(folder.path(), &bad).map_or(true, |found| found == small), "{at}");
    }
    let good = written(Format::Qcow2, &small, &[extent(0, 100_000)]);
    for at in (0..104).chain(3 << 16..(3 << 16) + 16).chain(4 << 16..(4 << 16) + 32) {
        for flip in [1, 0x40, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            fuzz::qcow2(&mailkiln_image::fuzz::records(&bad));
        }
    }
    for end in [0, 3, 50, 104, 1 << 16, 5 << 16] {
        fuzz::qcow2(&mailkiln_image::fuzz::records(&good[..end.min(good.len())]));
    }
}

#[test]
fn qemu_s_own_images_are_read_or_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, _) = fixture();
    let (img, out) = (folder.path().join("img"), folder.path().join("out"));
    fs::write(&img, &disk).unwrap();
    let convert = |options: &[&str]| {
        let mut arguments: Vec<&OsStr> =
            ["convert", "-O", "qcow2"].iter().chain(options).map(OsStr::new).collect();
        arguments.extend([img.as_ref(), out.as_ref() as &OsStr]);
        judge("qemu-img", &arguments)?;
        Some(open(&out).map(|found| found.read_vec_at(0, disk.len())))
    };
    if let Some(found) = convert(&["-o", "cluster_size=4k,compat=1.1"]) {
        assert!(found.unwrap().unwrap() == disk);
        assert!(convert(&["-o", "compat=0.10"]).unwrap().unwrap().unwrap() == disk);
        let compressed = convert(&["-c"]).unwrap().unwrap().unwrap_err();
        assert!(compressed.to_string().contains("qemu-img convert"), "{compressed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn disks_come_back(
        sectors in 1_usize..5000,
        holes in prop::collection::vec((0_u64..5000, 0_u64..300), 0..8),
    ) {
        let size = sectors as u64 * 512;
        let mut at = 0;
        let mut extents = Vec::new();
        let mut holes = holes;
        holes.sort_unstable();
        for (start, length) in holes {
            let offset = (start * 512).clamp(at, size);
            let length = (length * 512).min(size - offset);
            extents.push(extent(offset, length));
            at = offset + length;
        }
        let disk = disk(size as usize, &extents);
        let folder = tempfile::tempdir().unwrap();
        for format in Format::ALL {
            let found = opened(folder.path(), &written(format, &disk, &extents)).unwrap();
            prop_assert!(found == disk, "{}", format);
        }
    }
}
