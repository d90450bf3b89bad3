//! Images under their names: whole, with their checksum, and nothing beside them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mailkiln_bytes_at::ReadAt;
use mailkiln_format::{Bmap, Format, Sparse, open};
use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use mailkiln_publish::{publish, publish_copy, unnamed};

const fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length }
}

/// A disk with bytes at both ends and in the middle.
fn fixture() -> (Vec<u8>, Vec<Extent>) {
    let size = 40 << 20;
    let extents = vec![extent(0, 17_408), extent(1 << 20, 100_000), extent(size - 512, 512)];
    let mut disk = vec![0; size as usize];
    for Extent { offset, length } in &extents {
        for at in *offset..offset + length {
            disk[at as usize] = (at.wrapping_mul(2_654_435_761) >> 16) as u8 | 1;
        }
    }
    (disk, extents)
}

/// A disk whose second half can't be read.
struct Failing(u64);

impl ReadAt for Failing {
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
fn what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".mailkiln-left");
    let foreign = folder.path().join("mailkiln-notes");
    fs::write(&left, "half an image").unwrap();
    fs::write(&foreign, "").unwrap();
    let living = unnamed(folder.path()).unwrap();
    let second = unnamed(folder.path()).unwrap();
    assert!(!left.exists() && foreign.exists());
    assert!(living.path().exists() && second.path().exists());
}

#[test]
fn images_are_published_whole_with_their_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, extents) = fixture();
    let raw = unnamed(folder.path()).unwrap();
    fs::write(raw.path(), &disk).unwrap();
    let formats: Vec<Format> = Format::all().collect();
    let all = publish(raw, &extents, &formats, folder.path(), "mail-x86_64").unwrap();
    assert_eq!(all.len(), formats.len());
    let mut mapped = 0;
    for (published, format) in all.iter().zip(formats) {
        let bytes = fs::read(&published.path).unwrap();
        assert_eq!(published.sha256, Sha256::of(&bytes));
        assert_eq!(published.size, bytes.len() as u64);
        let name = published.path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("mail-x86_64.{}", format.suffix()));
        let sum = fs::read_to_string(folder.path().join(format!("{name}.sha256"))).unwrap();
        assert_eq!(sum, format!("{}  {name}\n", published.sha256));
        if let Ok(text) = fs::read_to_string(folder.path().join(format!("{name}.bmap"))) {
            let expected = Bmap::of(&Sparse::new(&disk.as_slice(), &extents)).unwrap();
            assert_eq!(Bmap::parse(&text).unwrap(), expected);
            mapped += 1;
        }
    }
    assert_eq!(mapped, 4, "img, and img compressed, have a block map");
    let count = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(count, 2 * all.len() + mapped, "nothing else is left");
    let raw = unnamed(folder.path()).unwrap();
    let qcow2 = ["qcow2".parse().unwrap()];
    let error = publish(raw, &[], &qcow2, Path::new("/dev/null"), "x").unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), count, "nor after a failure");
}

#[test]
fn holes_take_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let size: u64 = 3 << 30;
    let raw = unnamed(folder.path()).unwrap();
    raw.as_file().set_len(size).unwrap();
    let extents = [extent(0, 512), extent(2 << 30, 512)];
    let formats: Vec<Format> = Format::all().collect();
    let published = publish(raw, &extents, &formats, folder.path(), "sparse").unwrap();
    for artifact in published {
        let room = fs::metadata(&artifact.path).unwrap().blocks() * 512;
        assert!(room < 16 << 20, "{} takes {room} bytes", artifact.path.display());
    }
    let image = open(&folder.path().join("sparse.vhdx")).unwrap();
    assert_eq!(image.size(), size);
}

#[test]
fn nothing_that_is_half_written_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let formats: Vec<Format> = Format::all().collect();
    let failing = Failing(5 << 20);
    let sparse = Sparse::whole(&failing);
    let error = publish_copy(&sparse, &formats, folder.path(), "x").unwrap_err();
    assert!(error.to_string().contains("the medium is broken"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_scanned_disk_gives_the_same_bytes_however_it_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, _) = fixture();
    let bytes = disk.as_slice();
    let whole = [extent(0, disk.len() as u64)];
    let direct = Sparse::scanned(&bytes, &whole).unwrap();
    assert!(direct.is_hole(20_000 + (64 << 10), 1 << 20), "zeros are holes");
    let formats: Vec<Format> = Format::all().filter(|it| it.step() <= 1 << 20).collect();
    let published = publish_copy(&direct, &formats, folder.path(), "a").unwrap();
    // A map of it would leave out zeros that a used medium needs.
    assert!(!folder.path().join("a.img.bmap").exists());
    for artifact in published {
        let again = open(&artifact.path).unwrap();
        let sparse = Sparse::scanned(&again, &[extent(0, again.size())]).unwrap();
        let second = publish_copy(&sparse, &formats, folder.path(), "a").unwrap();
        assert!(
            second.contains(&artifact),
            "{} is another one when made of itself",
            artifact.path.display()
        );
    }
}
