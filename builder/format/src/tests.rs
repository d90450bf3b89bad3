//! Formats: pinned bytes, and disks of any shape.

use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use proptest::prelude::*;

use super::conformance::{opened, written};
use super::*;

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

fn format(name: &str) -> Format {
    Format::named(name).unwrap()
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

#[test]
fn the_second_copy_of_the_kernel_costs_nothing() {
    // As on the boot partition: the same bytes twice, not at the same alignment.
    let kernel = disk(12 << 20, &[extent(0, 12 << 20)]);
    let image = [vec![0; 3 << 20], kernel.clone(), vec![0; 1_000_512], kernel, vec![0; 1 << 20]];
    let image = image.concat();
    let size = written(format("img.zst"), &image, &[extent(0, image.len() as u64)]).len();
    assert!(size < (12 << 20) + 50_000, "{size}");
}

/// Whoever changes these changes every image that was published.
#[test]
fn bytes_are_pinned() {
    let (disk, extents) = fixture();
    let digests: Vec<String> = Format::all()
        .map(|format| format!("{} {format}", Sha256::of(&written(format, &disk, &extents))))
        .collect();
    insta::assert_snapshot!(digests.join("\n"));
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
        for format in Format::all().filter(|format| format.step() <= 1 << 20) {
            let (_, found) = opened(folder.path(), &written(format, &disk, &extents)).unwrap();
            prop_assert!(found.starts_with(&disk), "{}", format);
        }
    }
}
