//! Metadata blocks: tables cut into 8 KiB pieces, each compressed on its own.
//!
//! In: records, appended; or the stored blocks of a foreign image. Out: the table's bytes and
//! the places of records in it; or a cursor that reads records across block borders.

use std::io;

use crate::block::Compressor;
use crate::format::{METADATA_LEN, Reference};
use mailkiln_bytes_at::ReadAt;

/// zstd level for tables: they are compressed on every build, so time counts.
const LEVEL: i32 = 9;

/// Bit of a metadata block's header that says "not compressed".
const RAW: u16 = 1 << 15;

/// Builds one table.
pub(crate) struct MetadataWriter {
    stored: Vec<u8>,
    pending: Vec<u8>,
    compressor: Compressor,
}

impl MetadataWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { stored: Vec::new(), pending: Vec::new(), compressor: Compressor::new(LEVEL)? })
    }

    /// Where the next record will start.
    pub(crate) fn position(&self) -> Reference {
        Reference { block: self.stored.len() as u32, offset: self.pending.len() as u16 }
    }

    /// Appends a record; it may cross block borders.
    pub(crate) fn append(&mut self, mut record: &[u8]) -> io::Result<()> {
        while !record.is_empty() {
            let room = METADATA_LEN - self.pending.len();
            let (now, later) = record.split_at(room.min(record.len()));
            self.pending.extend_from_slice(now);
            record = later;
            if self.pending.len() == METADATA_LEN {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The table's stored bytes.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.flush()?;
        Ok(self.stored)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let header_at = self.stored.len();
        self.stored.extend([0, 0]);
        self.compressor.store(&self.pending, &mut self.stored)?;
        let length = self.stored.len() - header_at - 2;
        let raw = if length == self.pending.len() { RAW } else { 0 };
        let header = length as u16 | raw;
        self.stored[header_at..header_at + 2].copy_from_slice(&header.to_le_bytes());
        self.pending.clear();
        Ok(())
    }
}

/// A lookup table (fragments, ids): records in metadata blocks, then an array of where those
/// blocks start. Returns the bytes and the array's offset; `start` is where the bytes will lie.
pub(crate) fn lookup_table(records: &[u8], start: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut writer = MetadataWriter::new()?;
    let mut pointers = Vec::new();
    for block in records.chunks(METADATA_LEN) {
        pointers.extend((start + u64::from(writer.position().block)).to_le_bytes());
        writer.append(block)?;
        writer.flush()?;
    }
    let mut bytes = writer.finish()?;
    let array_at = start + bytes.len() as u64;
    bytes.extend(pointers);
    Ok((bytes, array_at))
}

/// Why a metadata block can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadMetadata {
    /// The medium failed, or the block lies past its end.
    #[error("a metadata block at byte {offset} can't be read: {error}")]
    Io {
        /// Where the block starts in the image.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The block's header or content is not valid.
    #[error("the metadata block at byte {offset} is damaged")]
    Damaged {
        /// Where the block starts in the image.
        offset: u64,
    },
}

/// Reads records from a table of a foreign image, block after block.
pub(crate) struct MetadataReader<'a> {
    source: &'a dyn ReadAt,
    /// Where the next stored block starts.
    next: u64,
    /// No block may start here or later.
    end: u64,
    /// Bytes of the current block that were not taken yet are `block[at..]`.
    block: Vec<u8>,
    at: usize,
}

impl<'a> MetadataReader<'a> {
    /// A cursor at `place` of the table that fills `start..end` of the image.
    pub(crate) fn new(
        source: &'a dyn ReadAt,
        start: u64,
        end: u64,
        place: Reference,
    ) -> Result<Self, BadMetadata> {
        let next = start.saturating_add(place.block.into());
        let mut reader = Self { source, next, end, block: Vec::new(), at: 0 };
        reader.load()?;
        reader.at = usize::from(place.offset);
        if reader.at > reader.block.len() {
            return Err(BadMetadata::Damaged { offset: next });
        }
        Ok(reader)
    }

    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], BadMetadata> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, BadMetadata> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadMetadata> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, BadMetadata> {
        self.take().map(u64::from_le_bytes)
    }

    /// The next `length` bytes; callers bound `length` by what the format allows.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, BadMetadata> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Where the block after the current one starts in the image.
    pub(crate) fn damaged(&self) -> BadMetadata {
        BadMetadata::Damaged { offset: self.next }
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), BadMetadata> {
        while !buffer.is_empty() {
            if self.at == self.block.len() {
                self.load()?;
            }
            let take = buffer.len().min(self.block.len() - self.at);
            let (now, later) = buffer.split_at_mut(take);
            now.copy_from_slice(&self.block[self.at..self.at + take]);
            self.at += take;
            buffer = later;
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), BadMetadata> {
        let offset = self.next;
        let damaged = || BadMetadata::Damaged { offset };
        let failed = |error| BadMetadata::Io { offset, error };
        if offset >= self.end {
            return Err(damaged());
        }
        let mut header = [0; 2];
        self.source.read_exact_at(&mut header, offset).map_err(failed)?;
        let header = u16::from_le_bytes(header);
        let length = usize::from(header & !RAW);
        if length == 0 || length > METADATA_LEN {
            return Err(damaged());
        }
        let stored = self.source.read_vec_at(offset + 2, length).map_err(failed)?;
        self.block = if header & RAW != 0 {
            stored
        } else {
            zstd::bulk::decompress(&stored, METADATA_LEN).map_err(|_| damaged())?
        };
        if self.block.is_empty() {
            return Err(damaged());
        }
        self.at = 0;
        self.next = offset + 2 + length as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_cross_block_borders() {
        let mut writer = MetadataWriter::new().unwrap();
        let mut places = Vec::new();
        for number in 0..5000_u32 {
            places.push(writer.position());
            writer.append(&number.to_le_bytes()).unwrap();
            writer.append(&[number as u8; 3]).unwrap();
        }
        let table = writer.finish().unwrap();
        let source: &[u8] = &table;
        for number in [0, 1, 1169, 1170, 1171, 4999_u32] {
            let place = places[number as usize];
            let mut reader = MetadataReader::new(&source, 0, table.len() as u64, place).unwrap();
            assert_eq!(reader.u32().unwrap(), number);
            assert_eq!(reader.take().unwrap(), [number as u8; 3]);
        }
        let far = Reference { block: u32::MAX, offset: 0 };
        assert!(MetadataReader::new(&source, 0, table.len() as u64, far).is_err());
        let deep = Reference { block: 0, offset: u16::MAX };
        assert!(MetadataReader::new(&source, 0, table.len() as u64, deep).is_err());
    }
}
