//! Reads the parts of a foreign UKI.

use mailkiln_pin::Sha256;
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};
use sha2::Digest as _;

use super::section;

/// The parts of a UKI that `inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uki<'a> {
    /// Names and lengths in bytes of all sections, in file order.
    pub sections: Vec<(String, u64)>,
    /// Digest of names and contents of the sections that are not the UKI's, but its stub's.
    pub stub: Sha256,
    /// `os-release` of the image.
    pub os_release: Option<&'a str>,
    /// Release of the kernel.
    pub uname: Option<&'a str>,
    /// The kernel command line.
    pub command_line: &'a str,
    /// The initrd.
    pub initrd: &'a [u8],
    /// The kernel.
    pub kernel: &'a [u8],
}

/// Why a file is not a UKI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUki {
    /// Not a PE file.
    #[error("it is not a 64-bit PE file: {0}")]
    NotPe(object::Error),
    /// A section that every UKI has is not there.
    #[error("it has no section `{0}`, so it is not a Unified Kernel Image")]
    NoSection(&'static str),
    /// A section is not text.
    #[error("its section `{0}` is not UTF-8 text")]
    NotText(&'static str),
}

impl<'a> Uki<'a> {
    /// Reads the headers and finds the parts.
    ///
    /// # Errors
    /// [`BadUki`] when it is no PE file or has no kernel, initrd or command line.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadUki> {
        let file = PeFile64::parse(bytes).map_err(BadUki::NotPe)?;
        let mut sections = Vec::new();
        let mut stub = sha2::Sha256::new();
        for section in file.sections() {
            let name = section.name_bytes().map_err(BadUki::NotPe)?;
            if !section::ALL.iter().any(|own| own.as_bytes() == name) {
                let data = section.data().map_err(BadUki::NotPe)?;
                stub.update((name.len() as u64).to_le_bytes());
                stub.update(name);
                stub.update((data.len() as u64).to_le_bytes());
                stub.update(data);
            }
            sections.push((String::from_utf8_lossy(name).into_owned(), section.size()));
        }
        let part = |name: &'static str| {
            let section = file.section_by_name_bytes(name.as_bytes())?;
            let data = section.data().ok()?;
            // What is stored is padded; what counts is the section's size in memory.
            let length = usize::try_from(section.size()).ok()?;
            Some(data.get(..length).unwrap_or(data))
        };
        let text = |name| {
            part(name)
                .map(|bytes| {
                    str::from_utf8(bytes)
                        .map(|text| text.trim_end_matches('\0'))
                        .map_err(|_| BadUki::NotText(name))
                })
                .transpose()
        };
        Ok(Self {
            sections,
            stub: Sha256::from_bytes(stub.finalize().into()),
            os_release: text(section::OS_RELEASE)?,
            uname: text(section::UNAME)?,
            command_line: text(section::COMMAND_LINE)?
                .ok_or(BadUki::NoSection(section::COMMAND_LINE))?,
            initrd: part(section::INITRD).ok_or(BadUki::NoSection(section::INITRD))?,
            kernel: part(section::KERNEL).ok_or(BadUki::NoSection(section::KERNEL))?,
        })
    }
}
