//! Block maps: written, read back, judged by bmaptool.

use std::fs;

use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use proptest::prelude::*;

use super::*;
use crate::judges::judge;
use crate::sparse::Sparse;
use crate::tests::{disk, extent, fixture};

fn map(disk: &[u8], extents: &[Extent]) -> Bmap {
    Bmap::of(&Sparse::new(&disk, extents)).unwrap()
}

#[test]
fn whole_blocks_around_the_extents_are_mapped() {
    let extents = [extent(5000, 10), extent(8192, 4096), extent(3 << 20, (1 << 20) + 1)];
    let size = (5 << 20) + 512;
    let disk = disk(size, &extents);
    let bmap = map(&disk, &extents);
    let found: Vec<_> = bmap.ranges.iter().map(|range| (range.start, range.end)).collect();
    let mib = 1 << 20;
    assert_eq!(found, [(4096, 12_288), (3 * mib, 4 * mib), (4 * mib, 4 * mib + 4096)]);
    assert_eq!(bmap.mapped(), 8192 + mib + 4096);
    // A part of a block ends the image.
    let last = [extent(5 * mib + 511, 1)];
    let range = map(&disk, &last).ranges[0];
    assert_eq!((range.start, range.end), (5 * mib, size as u64));
    assert_eq!(map(&disk, &[]).ranges, []);
}

#[test]
fn the_text_is_pinned() {
    let (disk, extents) = fixture();
    assert_eq!(
        Sha256::of(map(&disk, &extents).to_xml().as_bytes()).to_string(),
        "cbf19a665d7e0122ea37a13d23d4814a575edfbb419c0210d81e526833970d96"
    );
}

#[test]
fn bmaptool_copies_by_our_map_and_we_read_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (mut disk, extents) = fixture();
    disk.truncate(disk.len() - 512);
    let path = |name| folder.path().join(name);
    fs::write(path("disk.img"), &disk).unwrap();
    let bmap = map(&disk, &extents);
    fs::write(path("disk.img.bmap"), bmap.to_xml()).unwrap();
    let [image, medium, theirs] = ["disk.img", "medium", "theirs"].map(path);
    if judge("bmaptool", &["-q".as_ref(), "copy".as_ref(), image.as_ref(), medium.as_ref()])
        .is_none()
    {
        return;
    }
    // Into a new file: what is not mapped stays zero, and so the copy is the whole disk.
    assert!(fs::read(&medium).unwrap() == disk);
    judge(
        "bmaptool",
        &["-q".as_ref(), "create".as_ref(), image.as_ref(), "-o".as_ref(), theirs.as_ref()],
    );
    let theirs = Bmap::parse(&fs::read_to_string(theirs).unwrap()).unwrap();
    assert_eq!(theirs.image_size, disk.len() as u64);
    for range in theirs.ranges {
        let bytes = &disk[range.start as usize..range.end as usize];
        assert_eq!(Sha256::of(bytes), range.sha256);
    }
}

#[test]
fn altered_and_foreign_maps_are_refused() {
    let (disk, extents) = fixture();
    let bmap = map(&disk, &extents);
    let text = bmap.to_xml();
    assert_eq!(Bmap::parse(&text), Ok(bmap.clone()));
    assert_eq!(Bmap::parse(&text.replacen("<Range ", "<Range  ", 1)), Err(BadBmap::Altered));
    let refused = |bmap: &Bmap| Bmap::parse(&bmap.to_xml()).unwrap_err();
    let with = |act: &dyn Fn(&mut Bmap)| {
        let mut bmap = bmap.clone();
        act(&mut bmap);
        bmap
    };
    assert!(matches!(refused(&with(&|it| it.ranges.swap(0, 1))), BadBmap::Range(_)));
    assert!(matches!(refused(&with(&|it| it.image_size = 8192)), BadBmap::Range(_)));
    assert!(matches!(refused(&with(&|it| it.image_size = 1 << 60)), BadBmap::Field(_)));
    for (text, error) in [
        ("", None),
        ("<bmap version='2.0'>", None),
        ("<other version='2.0'/>", Some(BadBmap::Field("element bmap"))),
        ("<bmap version='1.3'/>", Some(BadBmap::Version("1.3".to_owned()))),
        (
            "<bmap version='2.0'><ChecksumType>md5</ChecksumType></bmap>",
            Some(BadBmap::Digests("md5".to_owned())),
        ),
    ] {
        let found = Bmap::parse(text).unwrap_err();
        match error {
            Some(error) => assert_eq!(found, error),
            None => assert!(matches!(found, BadBmap::Xml(_)), "{found}"),
        }
    }
    // What would become gigabytes, were entities expanded.
    let bomb = "<!DOCTYPE bmap [<!ENTITY a 'aaaa'>]><bmap version='&a;'/>";
    assert!(matches!(Bmap::parse(bomb), Err(BadBmap::Xml(_))));
    // What would need a stack as deep as the file is long.
    assert!(Bmap::parse(&"<bmap>".repeat(1 << 20)).is_err());
    let deep = "<bmap>".repeat(100_000) + &"</bmap>".repeat(100_000);
    assert!(Bmap::parse(&deep).is_err());
}

proptest! {
    #[test]
    fn damaged_maps_do_no_harm(at in 0_usize..2000, byte in 0_u8..128) {
        let (disk, extents) = (disk(9000, &[extent(0, 9000)]), [extent(0, 9000)]);
        let mut text = map(&disk, &extents).to_xml().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        crate::fuzz::bmap(&text);
    }
}
