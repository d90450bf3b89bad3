//! Which QEMU runs which architecture, and the machine that it is asked for.

use std::path::Path;

use mailkiln_image::gpt;
use mailkiln_pin::Arch;

use super::MachineError;

/// QEMU for an architecture.
#[derive(Debug)]
pub(super) struct Emulator {
    /// The program.
    pub(super) program: &'static str,
    /// Debian's package of it.
    pub(super) package: &'static str,
    /// Value of `-machine`.
    pub(super) machine: &'static str,
    /// Value of `-cpu` where every instruction is translated.
    pub(super) translated: &'static str,
    /// UEFI: code and variables, where distributions put them.
    pub(super) uefi: &'static [(&'static str, &'static str)],
    /// Debian's package of these.
    pub(super) uefi_package: &'static str,
}

const X86_64: Emulator = Emulator {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    machine: "q35",
    translated: "max",
    // Debian, Fedora, Arch.
    uefi: &[
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
        ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ],
    uefi_package: "ovmf",
};

const AARCH64: Emulator = Emulator {
    program: "qemu-system-aarch64",
    package: "qemu-system-arm",
    machine: "virt",
    // `max` translates pointer authentication, which makes a boot several times slower.
    translated: "cortex-a72",
    // Debian, Fedora, Arch.
    uefi: &[
        ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        (
            "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
            "/usr/share/edk2/aarch64/vars-template-pflash.raw",
        ),
        ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
    ],
    uefi_package: "qemu-efi-aarch64",
};

impl Emulator {
    /// The emulator of an architecture.
    pub(super) const fn of(arch: Arch) -> &'static Self {
        match arch {
            Arch::X86_64 => &X86_64,
            Arch::Aarch64 => &AARCH64,
        }
    }
}

/// The architecture of an image, by the type of its root partition.
///
/// # Errors
/// [`MachineError::Format`] for what can't be booted without unpacking, [`MachineError::NoRoot`]
/// for what is no image of ours.
pub fn architecture(image: &Path) -> Result<Arch, MachineError> {
    if image.extension().is_some_and(|extension| extension == "zst") {
        return Err(MachineError::Format(image.to_owned()));
    }
    let no_root = |why: String| MachineError::NoRoot { image: image.to_owned(), why };
    let disk = mailkiln_format::open(image).map_err(|error| no_root(error.to_string()))?;
    let table = gpt::read(&*disk).map_err(|error| no_root(error.to_string()))?;
    let has_root = |arch: &Arch| {
        let kind = gpt::kind::root(*arch);
        table.partitions.iter().any(|partition| partition.kind == kind)
    };
    let found = Arch::ALL.into_iter().find(has_root);
    found.ok_or_else(|| no_root("no partition holds a root file system".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_root_partition_is_not_started() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("x.img");
        std::fs::write(&image, [0; 4096]).unwrap();
        let said = architecture(&image).unwrap_err().to_string();
        assert!(said.contains("x.img") && said.contains("mailkiln build"), "{said}");
        let said = architecture(Path::new("x.img.zst")).unwrap_err().to_string();
        assert!(said.contains("zstd -d"), "{said}");
    }
}
