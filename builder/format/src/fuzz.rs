//! Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
//!
//! Images are given as [`mailkiln_image::fuzz::records`], compressed ones as they are.

use mailkiln_bytes_at::ReadAt as _;

use crate::open::Foreign;
use crate::registry::Format;

/// Bytes at either end of a disk that are read.
const ENDS: u64 = 1 << 20;

/// Reads a block map; what it says is written as it was read.
pub fn bmap(bytes: &[u8]) {
    if let Ok(bmap) = crate::Bmap::parse(&String::from_utf8_lossy(bytes)) {
        assert_eq!(crate::Bmap::parse(&bmap.to_xml()), Ok(bmap), "a map reads as it was written");
    }
}

/// Opens a qcow2 and reads its first and last megabyte.
pub fn qcow2(bytes: &[u8]) {
    records("qcow2", bytes);
}

/// Opens a VHD, fixed or dynamic.
pub fn vhd(bytes: &[u8]) {
    records("vhd", bytes);
}

/// Opens a VHDX.
pub fn vhdx(bytes: &[u8]) {
    records("vhdx", bytes);
}

/// Opens a VMDK.
pub fn vmdk(bytes: &[u8]) {
    records("vmdk", bytes);
}

/// Opens an OVA.
pub fn ova(bytes: &[u8]) {
    records("ova", bytes);
}

/// Opens an archive for Oracle Cloud.
pub fn oci(bytes: &[u8]) {
    records("oci", bytes);
}

/// Opens an archive for Google Compute Engine.
pub fn tar_gz(bytes: &[u8]) {
    plain("tar.gz", bytes);
}

/// Opens a disk compressed with gzip.
pub fn img_gz(bytes: &[u8]) {
    plain("img.gz", bytes);
}

/// Opens a disk compressed with xz.
pub fn img_xz(bytes: &[u8]) {
    plain("img.xz", bytes);
}

/// Opens a disk compressed with zstd.
pub fn img_zst(bytes: &[u8]) {
    plain("img.zst", bytes);
}

/// Says which format a file is of.
pub fn format_of(bytes: &[u8]) {
    let _ = Format::of(bytes_source(bytes).as_ref());
}

fn records(format: &str, bytes: &[u8]) {
    read(format, Box::new(mailkiln_image::fuzz::Sparse::read(bytes)));
}

fn plain(format: &str, bytes: &[u8]) {
    read(format, bytes_source(bytes));
}

/// Bytes that are their own disk.
struct Bytes(Vec<u8>);

impl mailkiln_bytes_at::ReadAt for Bytes {
    fn size(&self) -> u64 {
        self.0.as_slice().size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.as_slice().read_exact_at(buffer, offset)
    }
}

fn bytes_source(bytes: &[u8]) -> crate::Opened {
    Box::new(Bytes(bytes.to_vec()))
}

fn read(format: &str, source: crate::Opened) {
    let Some(format) = Format::named(format) else { return };
    if let Ok(disk) = (format.0.open)(Foreign { source }) {
        let length = disk.size().min(ENDS);
        let _ = disk.read_vec_at(0, length as usize);
        let _ = disk.read_vec_at(disk.size() - length, length as usize);
    }
}
