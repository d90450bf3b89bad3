//! Appends sections to systemd's stub.

use super::section;

/// Offsets in the optional header of a PE32+ file ("Optional Header Windows-Specific Fields").
mod optional {
    pub(super) const MAGIC: usize = 0;
    pub(super) const SIZE_OF_INITIALIZED_DATA: usize = 8;
    pub(super) const SECTION_ALIGNMENT: usize = 32;
    pub(super) const FILE_ALIGNMENT: usize = 36;
    pub(super) const SIZE_OF_IMAGE: usize = 56;
    pub(super) const SIZE_OF_HEADERS: usize = 60;
    pub(super) const CHECKSUM: usize = 64;
    /// Up to and with the checksum.
    pub(super) const LEAST_LEN: usize = 68;
}

const PE32_PLUS: u16 = 0x20b;
/// Where the DOS header says the PE header is.
const LFANEW: usize = 0x3c;
/// Signature and COFF header.
const COFF_LEN: usize = 24;
const SECTION_LEN: usize = 40;
/// Initialised data, readable.
const CHARACTERISTICS: u32 = 0x4000_0040;
/// Alignments beyond this are not sane.
const MOST_ALIGNMENT: u32 = 1 << 20;

/// What goes into a UKI besides the stub.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `/usr/lib/os-release` of the image.
    pub os_release: &'a str,
    /// The kernel's release, as `uname -r` prints it.
    pub uname: &'a str,
    /// The kernel command line.
    pub command_line: &'a str,
    /// The initrd.
    pub initrd: &'a [u8],
    /// The kernel, itself an EFI program.
    pub kernel: &'a [u8],
}

/// The stub can't take sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStub {
    /// Not a 64-bit PE file, or cut short.
    #[error("the EFI stub is not a whole 64-bit PE file; check the systemd-boot-efi package")]
    NotPe,
    /// No room for more section headers.
    #[error("the EFI stub has room for {room} more sections, {needed} are needed")]
    NoRoom {
        /// Headers that fit.
        room: usize,
        /// Headers that are needed.
        needed: usize,
    },
    /// The result would pass 4 GiB.
    #[error("kernel and initrd are too large for a PE file (4 GiB)")]
    TooLarge,
}

impl Parts<'_> {
    /// The UKI: `stub` with the parts appended.
    ///
    /// # Errors
    /// [`BadStub`] when the stub is not what it should be, or the parts are too large.
    pub fn append_to(&self, stub: &[u8]) -> Result<Vec<u8>, BadStub> {
        let mut image = Image::parse(stub)?;
        let parts = [
            (section::OS_RELEASE, self.os_release.as_bytes()),
            (section::UNAME, self.uname.as_bytes()),
            (section::COMMAND_LINE, self.command_line.as_bytes()),
            (section::INITRD, self.initrd),
            (section::KERNEL, self.kernel),
        ];
        if image.room < parts.len() {
            return Err(BadStub::NoRoom { room: image.room, needed: parts.len() });
        }
        for (name, content) in parts {
            image.append(name, content)?;
        }
        Ok(image.finish())
    }
}

/// A PE file that grows. Offsets are checked once, in [`Image::parse`].
struct Image {
    bytes: Vec<u8>,
    coff: usize,
    optional: usize,
    /// Where the next section header goes.
    next_header: usize,
    sections: u16,
    room: usize,
    file_alignment: u32,
    section_alignment: u32,
    /// Where the next section goes in memory.
    next_address: u32,
    initialized: u32,
}

impl Image {
    fn parse(stub: &[u8]) -> Result<Self, BadStub> {
        let half = |at: usize| {
            Some(u16::from_le_bytes(stub.get(at..at.checked_add(2)?)?.try_into().ok()?))
        };
        let word = |at: usize| {
            Some(u32::from_le_bytes(stub.get(at..at.checked_add(4)?)?.try_into().ok()?))
        };
        let parse = || {
            let coff = word(LFANEW)? as usize;
            let optional = coff.checked_add(COFF_LEN)?;
            let optional_len = usize::from(half(coff.checked_add(20)?)?);
            if stub.get(..2)? != b"MZ"
                || word(coff)? != u32::from_le_bytes(*b"PE\0\0")
                || half(optional + optional::MAGIC)? != PE32_PLUS
                || optional_len < optional::LEAST_LEN
            {
                return None;
            }
            let sections = half(coff + 6)?;
            let table = optional.checked_add(optional_len)?;
            let next_header = table + usize::from(sections) * SECTION_LEN;
            let headers_end = word(optional + optional::SIZE_OF_HEADERS)? as usize;
            let sane =
                |&alignment: &u32| alignment.is_power_of_two() && alignment <= MOST_ALIGNMENT;
            let section_alignment = word(optional + optional::SECTION_ALIGNMENT).filter(sane)?;
            let file_alignment = word(optional + optional::FILE_ALIGNMENT).filter(sane)?;
            let mut end = word(optional + optional::SIZE_OF_IMAGE)?;
            for header in (table..next_header).step_by(SECTION_LEN) {
                let (size, address) = (word(header + 8)?, word(header + 12)?);
                end = end.max(address.checked_add(size)?);
            }
            stub.get(..headers_end)?;
            Some(Self {
                bytes: stub.to_vec(),
                coff,
                optional,
                next_header,
                sections,
                room: headers_end.checked_sub(next_header)? / SECTION_LEN,
                file_alignment,
                section_alignment,
                next_address: end.checked_next_multiple_of(section_alignment)?,
                initialized: word(optional + optional::SIZE_OF_INITIALIZED_DATA)?,
            })
        };
        parse().ok_or(BadStub::NotPe)
    }

    fn append(&mut self, name: &str, content: &[u8]) -> Result<(), BadStub> {
        self.pad();
        let offset = u32::try_from(self.bytes.len()).map_err(|_| BadStub::TooLarge)?;
        let size = u32::try_from(content.len()).map_err(|_| BadStub::TooLarge)?;
        let stored = size.checked_next_multiple_of(self.file_alignment).ok_or(BadStub::TooLarge)?;
        let end = self.next_address.checked_add(size).ok_or(BadStub::TooLarge)?;
        let mut header = [0; SECTION_LEN];
        header[..name.len()].copy_from_slice(name.as_bytes());
        let fields = [size, self.next_address, stored, offset];
        for (place, field) in header[8..24].chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        header[36..].copy_from_slice(&CHARACTERISTICS.to_le_bytes());
        self.bytes[self.next_header..self.next_header + SECTION_LEN].copy_from_slice(&header);
        self.next_header += SECTION_LEN;
        self.sections += 1;
        self.bytes.extend_from_slice(content);
        self.next_address =
            end.checked_next_multiple_of(self.section_alignment).ok_or(BadStub::TooLarge)?;
        self.initialized = self.initialized.checked_add(stored).ok_or(BadStub::TooLarge)?;
        Ok(())
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(self.file_alignment as usize);
        self.bytes.resize(length, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.pad();
        self.bytes[self.coff + 6..self.coff + 8].copy_from_slice(&self.sections.to_le_bytes());
        let fields = [
            (optional::SIZE_OF_INITIALIZED_DATA, self.initialized),
            (optional::SIZE_OF_IMAGE, self.next_address),
            // Firmware does not look at it, and a wrong one is worse than none.
            (optional::CHECKSUM, 0),
        ];
        for (at, value) in fields {
            let at = self.optional + at;
            self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        self.bytes
    }
}
