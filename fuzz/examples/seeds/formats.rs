//! Seeds of disk images: one small disk in every format of the list.

use std::path::Path;

use mailkiln_format::{Format, Job, Sparse, write};
use mailkiln_image::disk::Extent;
use mailkiln_image::fuzz::records;

use crate::{Error, Seeds};

/// Bytes of the disk: a block of every format and a bit.
const SIZE: usize = (2 << 20) + 512;

pub(crate) fn seeds() -> Result<Seeds, Error> {
    let disk: Vec<u8> = (0..SIZE).map(|at| (at * at / 977) as u8).collect();
    let extents =
        [Extent { offset: 0, length: 70_000 }, Extent { offset: SIZE as u64 - 512, length: 512 }];
    let disk = disk.as_slice();
    let sparse = Sparse::new(&disk, &extents);
    let scratch = std::env::temp_dir();
    let mut seeds = Seeds::new();
    for format in Format::all() {
        let mut bytes = Vec::new();
        let job = Job {
            disk: &sparse,
            name: "seed",
            scratch: Path::new(&scratch),
            threads: None,
            map: false,
        };
        write(&job, &mut [(format, &mut bytes)])?;
        // A reader is given the file as records of sectors, or a compressed one as it is.
        let (target, seed) = match format.name() {
            "qcow2" | "qcow2-zlib" | "qcow2-zstd" => ("qcow2", records(&bytes)),
            "vhd" | "vhd-dynamic" => ("vhd", records(&bytes)),
            "vhdx" => ("vhdx", records(&bytes)),
            "vmdk" => ("vmdk", records(&bytes)),
            "ova" => ("ova", records(&bytes)),
            "oci" => ("oci", records(&bytes)),
            "tar.gz" => ("tar_gz", bytes.clone()),
            "img.gz" => ("img_gz", bytes.clone()),
            "img.xz" => ("img_xz", bytes.clone()),
            "img.zst" => ("img_zst", bytes.clone()),
            _ => continue,
        };
        seeds.push((target, seed));
        if bytes.len() < 1 << 20 {
            seeds.push(("image_format", bytes));
        }
    }
    Ok(seeds)
}
