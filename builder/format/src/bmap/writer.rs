//! Makes block maps and writes them as XML.

use std::fmt::Write as _;
use std::io;

use mailkiln_pin::Sha256;
use sha2::Digest as _;

use super::{BLOCK, Bmap, Range};
use crate::sparse::Sparse;
use crate::stretch::Stretch;

/// What stands for the file's own digest while that is computed.
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The ranges of a stretch: in each of its pieces the runs of blocks with something in them. A piece is
/// the longest range: so much is lost from sight when a range's digest is not right.
pub(crate) fn ranges(stretch: &Stretch<'_>) -> io::Result<Vec<Range>> {
    let mut ranges = Vec::new();
    for piece in stretch.pieces() {
        let (start, piece) = piece?;
        let end = start + piece.len() as u64;
        let mut at = start;
        while at < end {
            let block_end = (at + BLOCK).min(end);
            if stretch.is_hole(at, block_end) {
                at = block_end;
                continue;
            }
            let from = at;
            at = block_end;
            while at < end && !stretch.is_hole(at, (at + BLOCK).min(end)) {
                at = (at + BLOCK).min(end);
            }
            let sha256 = Sha256::of(&piece[(from - start) as usize..(at - start) as usize]);
            ranges.push(Range { start: from, end: at, sha256 });
        }
    }
    Ok(ranges)
}

impl Bmap {
    /// The map of `disk`: its extents in whole blocks. The same disk gives the same map.
    ///
    /// # Errors
    /// What reading the disk reports.
    pub fn of(disk: &Sparse<'_>) -> io::Result<Self> {
        let ranges = ranges(&Stretch::new(disk, 0, disk.size(), false))?;
        Ok(Self::of_ranges(disk.size(), ranges))
    }

    /// The map of a disk of so many bytes whose ranges a pass has given.
    pub const fn of_ranges(image_size: u64, ranges: Vec<Range>) -> Self {
        Self { image_size, block_size: BLOCK, ranges }
    }

    /// The text of the `.bmap` file.
    pub fn to_xml(&self) -> String {
        let text = self.with_digest(NO_DIGEST);
        let digest = Sha256::from_bytes(sha2::Sha256::digest(text.as_bytes()).into());
        self.with_digest(&digest.to_string())
    }

    fn with_digest(&self, digest: &str) -> String {
        let Self { image_size, block_size, ranges } = self;
        let blocks = image_size.div_ceil(*block_size);
        let last = |range: &Range| range.end.div_ceil(*block_size) - 1;
        let mapped: u64 =
            ranges.iter().map(|range| last(range) + 1 - range.start / block_size).sum();
        let mut lines = String::new();
        for range in ranges {
            let (first, last) = (range.start / block_size, last(range));
            let numbers = if first == last { first.to_string() } else { format!("{first}-{last}") };
            // Writing to a string does not fail.
            let _ = writeln!(lines, "        <Range chksum=\"{}\">{numbers}</Range>", range.sha256);
        }
        format!(
            "<?xml version=\"1.0\" ?>\n\
             <!-- The blocks of the image that have to be written to a medium, for mailkiln flash and\n     \
             bmaptool copy. What is in the others does not matter. -->\n\
             <bmap version=\"2.0\">\n    \
             <ImageSize>{image_size}</ImageSize>\n    \
             <BlockSize>{block_size}</BlockSize>\n    \
             <BlocksCount>{blocks}</BlocksCount>\n    \
             <MappedBlocksCount>{mapped}</MappedBlocksCount>\n    \
             <ChecksumType>sha256</ChecksumType>\n    \
             <BmapFileChecksum>{digest}</BmapFileChecksum>\n    \
             <BlockMap>\n{lines}    </BlockMap>\n\
             </bmap>\n"
        )
    }
}
