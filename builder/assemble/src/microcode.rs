//! The processor's microcode, in front of the initrd.
//!
//! In: the boot packages. Out: an archive that is not compressed, in which the kernel looks before it does
//! anything else (`arch/x86/microcode.rst`); empty where the target names no package of microcode.

use mailkiln_image::cpio::Archive;
use mailkiln_tree::TreePath;

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
        let bytes: Vec<u8> =
            parts.boot_folder(&TreePath::parse(folder)?)?.into_values().flatten().collect();
        if !bytes.is_empty() {
            archive.file(TreePath::parse(file)?, 0o644, bytes);
            empty = false;
        }
    }
    Ok(if empty { Vec::new() } else { archive.to_bytes() })
}
