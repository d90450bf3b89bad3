//! VHDX, the disk of Hyper-V's second generation.
//!
//! In: a disk with holes. Out: headers, regions, metadata and a table of blocks of 1 MiB, then those that are
//! not holes. Format: Microsoft's [MS-VHDX]. The log is empty; identifiers are derived from the disk.

mod reader;
mod writer;

use mailkiln_image::Guid;

use crate::codec::Codec;
use crate::registry::{Description, Magic};

/// What a file begins with (§2.2.1).
const MAGIC: &[u8; 8] = b"vhdxfile";

/// Everything large lies on this boundary (§2.1).
const MIB: u64 = 1 << 20;

/// Where the two headers are, and the two tables of regions (§2.2).
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGIONS: [u64; 2] = [192 << 10, 256 << 10];

/// Bytes of a header and of a table of regions (§2.2.2, §2.2.3).
const HEADER: usize = 4 << 10;
const TABLE: usize = 64 << 10;

/// Regions (§2.2.3.2).
const BAT: Guid = Guid::from_u128(0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08);
const METADATA: Guid = Guid::from_u128(0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e);

/// Items of the metadata (§2.6.2).
const FILE_PARAMETERS: Guid = Guid::from_u128(0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b);
const DISK_SIZE: Guid = Guid::from_u128(0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8);
const DISK_ID: Guid = Guid::from_u128(0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746);
const LOGICAL_SECTOR: Guid = Guid::from_u128(0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f);
const PHYSICAL_SECTOR: Guid = Guid::from_u128(0xcda3_48c7_445d_4471_9cc9_e988_5251_c556);

/// Longest disk that is written and read; the format's own limit is 64 TiB (§2.6.2.2).
const MOST: u64 = crate::open::LARGEST_DISK;

/// States of a block (§2.5.1.1): not there, and all of it there.
const NOT_PRESENT: u64 = 0;
const FULLY_PRESENT: u64 = 6;

/// For Hyper-V.
pub(crate) static VHDX: Description = Description {
    name: "vhdx",
    suffix: "vhdx",
    title: "Hyper-V, second generation",
    magic: Magic::Start(MAGIC),
    step: MIB,
    most: MOST,
    qemu: Some("vhdx"),
    stream: None,
    codec: Codec::Plain,
    start: writer::start,
    open: reader::open,
};

/// Blocks of the disk for which the table has one entry more, of a bitmap (§2.5).
const fn chunk(block: u64, sector: u64) -> u64 {
    (1 << 23) * sector / block
}

/// CRC-32C (RFC 3720 appendix B.4) of `bytes`, with the four at offset 4 taken as zeros (§2.2.2).
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1))
        })
    };
    let zeroed = |(at, &byte): (usize, &u8)| if (4..8).contains(&at) { 0 } else { byte };
    !bytes.iter().enumerate().map(zeroed).fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 3720 appendix B.4: 32 bytes of zeros.
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    }
}
