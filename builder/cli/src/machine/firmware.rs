//! The firmware that starts an image: SeaBIOS, which QEMU brings, or UEFI from where distributions put it.

use std::path::Path;

use mailkiln_pin::Arch;

use super::MachineError;
use super::emulator::Emulator;

/// Which firmware starts the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Firmware {
    /// OVMF, on ARM AAVMF.
    Uefi,
    /// SeaBIOS.
    Bios,
}

impl Firmware {
    /// Values of QEMU's `-drive` that bring the firmware in. Variables are written to a snapshot and forgotten.
    pub(super) fn drives(self, arch: Arch) -> Result<Vec<String>, MachineError> {
        match (self, arch) {
            (Self::Bios, Arch::X86_64) => return Ok(Vec::new()),
            (Self::Bios, _) => return Err(MachineError::NoBios(arch)),
            (Self::Uefi, _) => {}
        }
        let emulator = Emulator::of(arch);
        let (code, variables) = emulator
            .uefi
            .iter()
            .find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists())
            .ok_or(MachineError::NoFirmware { arch, package: emulator.uefi_package })?;
        Ok(vec![
            format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            format!("if=pflash,unit=1,format=raw,snapshot=on,file={variables}"),
        ])
    }
}
