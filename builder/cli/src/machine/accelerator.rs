//! KVM where it really boots, TCG everywhere else.
//!
//! `/dev/kvm` may exist and still not run a guest (nested machines without hardware virtualisation hang or spin). So KVM is
//! asked to boot a 512-byte sector that does nothing but enter 64-bit mode and leave QEMU with a known status.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mailkiln_pin::Arch;

use super::emulator::Emulator;

/// How QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Accelerator {
    /// On the processor itself.
    Kvm,
    /// Translated; works everywhere, about twenty times slower.
    Tcg,
}

/// The machine code of `proof.S`: enters 64-bit mode with paging, uses SSE, counts to 2^24 and leaves QEMU through its
/// isa-debug-exit device. A sector that stays in 16-bit mode proves nothing: broken KVMs run that too.
const PROOF: [u8; 140] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0x31,
    0xc0, 0xfc, 0xf3, 0xab, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30,
    0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x66, 0xb8, 0x20, 0x06, 0x00, 0x00, 0x0f, 0x22, 0xe0, 0x66,
    0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32,
    0x66, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30, 0x66, 0x0f, 0x01, 0x16, 0x88, 0x7c, 0x66, 0xb8,
    0x11, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0x66, 0xea, 0x5f, 0x7c, 0x00, 0x00, 0x08, 0x00, 0x66,
    0x0f, 0xef, 0xc0, 0xb9, 0x00, 0x00, 0x00, 0x01, 0x48, 0x83, 0xc0, 0x01, 0xe2, 0xfa, 0x66, 0xba,
    0xf4, 0x00, 0xb0, 0x10, 0xee, 0xf4, 0xeb, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, 0x0f, 0x00, 0x78, 0x7c,
];
/// isa-debug-exit leaves with (value << 1) | 1.
const PROVEN: i32 = 0x10 << 1 | 1;
const PATIENCE: Duration = Duration::from_secs(10);

impl Accelerator {
    /// KVM if it boots the proof within ten seconds, else TCG. The proof is x86_64's.
    pub fn detect(arch: Arch) -> Self {
        let provable = arch == Arch::X86_64 && std::env::consts::ARCH == arch.gnu();
        if provable && boots("kvm").unwrap_or(false) { Self::Kvm } else { Self::Tcg }
    }

    /// Value of QEMU's `-accel`.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }

    /// Value of QEMU's `-cpu`.
    pub(super) fn processor(self, emulator: &Emulator) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => emulator.translated,
        }
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG (no usable KVM; a boot takes minutes)",
        }
    }
}

fn boots(accelerator: &str) -> std::io::Result<bool> {
    if accelerator == "kvm" && !std::path::Path::new("/dev/kvm").exists() {
        return Ok(false);
    }
    let mut sector = [0; 512];
    sector[..PROOF.len()].copy_from_slice(&PROOF);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&sector)?;
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-accel", accelerator, "-m", "16M", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-drive"])
        .arg(format!("if=ide,format=raw,snapshot=on,file={}", file.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = qemu.try_wait()? {
            return Ok(status.code() == Some(PROVEN));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    qemu.kill()?;
    qemu.wait()?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_runs_where_64_bit_code_runs() {
        assert!(boots("tcg").expect("qemu-system-x86_64 is installed"));
    }
}
