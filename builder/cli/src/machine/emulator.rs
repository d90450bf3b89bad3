//! Which QEMU runs which architecture, and the machine that it is asked for.

use mailkiln_pin::Arch;

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
    /// Value of `-device` for a graphics card that firmware and kernel draw on without a driver of its own.
    pub(super) graphics: &'static str,
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
    graphics: "VGA",
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
    graphics: "ramfb",
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
