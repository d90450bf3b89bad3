//! What a program or library wants from the dynamic linker.
//!
//! In: an ELF file. Out: its interpreter and the libraries that it names. See the System V ABI, chapter 5.

use object::elf::{DT_NEEDED, FileHeader64, PT_INTERP};
use object::endian::LittleEndian;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

/// What the dynamic linker has to bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linkage {
    /// The path of the dynamic linker; `None` for a library or a static program.
    pub interpreter: Option<String>,
    /// Names of libraries, in the order in which they are named.
    pub libraries: Vec<String>,
}

/// A file can't be linked.
#[derive(Debug, thiserror::Error)]
#[error("this is no 64-bit little-endian ELF program or library: {0}")]
pub struct LinkageError(#[from] object::Error);

impl Linkage {
    /// Reads the program headers and the dynamic section.
    ///
    /// # Errors
    /// [`LinkageError`] for anything that is not ELF of 64 bits, little-endian.
    pub fn read(file: &[u8]) -> Result<Self, LinkageError> {
        let header = FileHeader64::<LittleEndian>::parse(file)?;
        let endian = header.endian()?;
        let mut interpreter = None;
        for segment in header.program_headers(endian, file)? {
            if segment.p_type(endian) == PT_INTERP {
                let path = segment.interpreter(endian, file)?.unwrap_or_default();
                interpreter = Some(String::from_utf8_lossy(path).into_owned());
            }
        }
        let mut libraries = Vec::new();
        let sections = header.sections(endian, file)?;
        if let Some((entries, strings)) = sections.dynamic(endian, file)? {
            let strings = sections.strings(endian, file, strings)?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED)) {
                let name = entry.string(endian, strings)?;
                libraries.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(Self { interpreter, libraries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_wants_a_linker_and_libc() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = Linkage::read(&own).unwrap();
        assert!(linkage.interpreter.unwrap().starts_with("/lib"));
        assert!(linkage.libraries.contains(&"libc.so.6".to_owned()), "{:?}", linkage.libraries);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0; 64]] {
            assert!(Linkage::read(bytes).is_err());
        }
    }
}
