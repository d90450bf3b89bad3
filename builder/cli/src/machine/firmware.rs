//! The firmware that starts an image: SeaBIOS, which QEMU brings, or UEFI or U-Boot from where distributions put them.

use std::path::Path;

use mailkiln_pin::Arch;

use super::MachineError;
use super::emulator::Emulator;

/// Which firmware starts the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Firmware {
    /// OVMF, on ARM AAVMF.
    Uefi,
    /// SeaBIOS, x86_64 alone.
    Bios,
    /// U-Boot, aarch64 alone: what most ARM boards start with.
    #[value(name = "u-boot")]
    UBoot,
}

impl Firmware {
    /// QEMU's options that bring the firmware in. UEFI's variables are written to a snapshot and forgotten.
    pub(super) fn options(self, arch: Arch) -> Result<Vec<(&'static str, String)>, MachineError> {
        match (self, arch) {
            (Self::Bios, Arch::X86_64) => Ok(Vec::new()),
            (Self::Bios, _) => Err(MachineError::OtherFirmware { arch, firmware: "BIOS" }),
            (Self::UBoot, Arch::Aarch64) => Ok(vec![("-bios", u_boot(arch)?.to_owned())]),
            (Self::UBoot, _) => Err(MachineError::OtherFirmware { arch, firmware: "U-Boot" }),
            (Self::Uefi, _) => uefi(arch),
        }
    }
}

fn uefi(arch: Arch) -> Result<Vec<(&'static str, String)>, MachineError> {
    let Emulator { uefi, uefi_package: package, .. } = *Emulator::of(arch);
    let (code, variables) = uefi
        .iter()
        .find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists())
        .ok_or(MachineError::NoFirmware { arch, firmware: "UEFI firmware", package })?;
    Ok(vec![
        ("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={code}")),
        ("-drive", format!("if=pflash,unit=1,format=raw,snapshot=on,file={variables}")),
    ])
}

/// Where distributions put U-Boot for QEMU's `virt` machine: Debian, Fedora.
const U_BOOT: [&str; 2] =
    ["/usr/lib/u-boot/qemu_arm64/u-boot.bin", "/usr/share/uboot/qemu_arm64/u-boot.bin"];

fn u_boot(arch: Arch) -> Result<&'static str, MachineError> {
    let missing = MachineError::NoFirmware { arch, firmware: "U-Boot", package: "u-boot-qemu" };
    U_BOOT.into_iter().find(|file| Path::new(file).exists()).ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_of_other_machines_is_refused() {
        for (firmware, arch) in [(Firmware::Bios, Arch::Aarch64), (Firmware::UBoot, Arch::X86_64)] {
            let said = firmware.options(arch).unwrap_err().to_string();
            assert!(said.contains(&arch.to_string()) && said.contains("--firmware"), "{said}");
        }
        assert_eq!(Firmware::Bios.options(Arch::X86_64).unwrap(), []);
    }
}
