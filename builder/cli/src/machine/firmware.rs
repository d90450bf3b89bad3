//! The firmware that starts an image: SeaBIOS, which QEMU brings, or OVMF from where distributions put it.

use std::path::Path;

use super::MachineError;

/// Which firmware starts the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Firmware {
    /// OVMF.
    Uefi,
    /// SeaBIOS.
    Bios,
}

/// (code, variables) of OVMF: Debian, Fedora, Arch.
const OVMF: [(&str, &str); 4] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

impl Firmware {
    /// Values of QEMU's `-drive` that bring the firmware in. Variables are written to a snapshot and forgotten.
    pub(super) fn drives(self) -> Result<Vec<String>, MachineError> {
        if self == Self::Bios {
            return Ok(Vec::new());
        }
        let (code, variables) = OVMF
            .into_iter()
            .find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists())
            .ok_or(MachineError::NoFirmware)?;
        Ok(vec![
            format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            format!("if=pflash,unit=1,format=raw,snapshot=on,file={variables}"),
        ])
    }
}
