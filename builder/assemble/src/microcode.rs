//! The processor's microcode, in front of the initrd.
//!
//! In: the boot packages. Out: an archive that is not compressed, in which the kernel looks before it does
//! anything else (`arch/x86/microcode.rst`); empty where the target names no package of microcode.

use mailkiln_image::cpio::Archive;
use mailkiln_tree::{Contents as _, TreePath};

use crate::AssembleError;
use crate::parts::Parts;

/// Folders of packages, and the file that the kernel reads: the contents of the first, one after another.
const FOLDERS: [(&str, &str); 2] = [
    ("usr/lib/firmware/amd-ucode", "kernel/x86/microcode/AuthenticAMD.bin"),
    ("usr/lib/firmware/intel-ucode", "kernel/x86/microcode/GenuineIntel.bin"),
];

/// The archive.
pub(crate) fn early(parts: &Parts) -> Result<Vec<u8>, AssembleError> {
    let mut archive = Archive::default();
    let mut empty = true;
    for (folder, file) in FOLDERS {
        let folder = TreePath::parse(folder)?;
        let mut files: Vec<_> = parts
            .boot_files()
            .filter(|(path, _)| path.parent().as_ref() == Some(&folder))
            .collect();
        files.sort();
        let mut bytes = Vec::new();
        for (path, sha256) in files {
            let part = parts.read(&sha256).map_err(|source| AssembleError::File {
                what: format!("can't read {path}"),
                source,
            })?;
            bytes.extend(part);
        }
        if !bytes.is_empty() {
            archive.file(TreePath::parse(file)?, 0o644, bytes);
            empty = false;
        }
    }
    Ok(if empty { Vec::new() } else { archive.to_bytes() })
}
