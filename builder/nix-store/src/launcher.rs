//! The few instructions that start an unmodified program with libraries of the store.
//!
//! In: paths of the dynamic linker, the libraries and the program. Out: a static ELF program. What it does stands in
//! `launcher/*.S`; its code is here as an assembler makes it of them (`tests/nix_cache` compares).

use std::ffi::CString;

use mailkiln_pin::Arch;
use object::elf::{EM_AARCH64, EM_X86_64, ET_EXEC, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_LOAD};

/// `launcher/x86_64.S` up to its table.
const X86_64: [u8; 96] = [
    0x48, 0x8b, 0x0c, 0x24, 0x48, 0x85, 0xc9, 0x74, 0x46, 0x48, 0x8d, 0x54, 0xcc, 0x10, 0x48, 0x8b,
    0x44, 0x24, 0x08, 0x48, 0x8b, 0x1d, 0x6e, 0x00, 0x00, 0x00, 0x48, 0x89, 0x5c, 0x24, 0x08, 0x48,
    0x8b, 0x1d, 0x5a, 0x00, 0x00, 0x00, 0x48, 0x89, 0x1c, 0x24, 0xff, 0x35, 0x48, 0x00, 0x00, 0x00,
    0x50, 0xff, 0x35, 0x39, 0x00, 0x00, 0x00, 0xff, 0x35, 0x2b, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x3d,
    0x1c, 0x00, 0x00, 0x00, 0x57, 0x48, 0x89, 0xe6, 0xb8, 0x3b, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xbf,
    0x7f, 0x00, 0x00, 0x00, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
];
/// `launcher/aarch64.S` up to its table.
const AARCH64: [u8; 80] = [
    0xe9, 0x03, 0x40, 0xf9, 0x09, 0x02, 0x00, 0xb4, 0xe2, 0x43, 0x00, 0x91, 0x42, 0x0c, 0x09, 0x8b,
    0xea, 0x07, 0x40, 0xf9, 0xeb, 0x01, 0x00, 0x10, 0x60, 0x31, 0x40, 0xa9, 0x6d, 0x39, 0x41, 0xa9,
    0x6f, 0x41, 0x42, 0xa9, 0xff, 0xc3, 0x00, 0xd1, 0xe0, 0x07, 0x00, 0xf9, 0xec, 0x37, 0x01, 0xa9,
    0xea, 0x3b, 0x02, 0xa9, 0xef, 0x43, 0x03, 0xa9, 0xe1, 0x23, 0x00, 0x91, 0xa8, 0x1b, 0x80, 0xd2,
    0x01, 0x00, 0x00, 0xd4, 0xe0, 0x0f, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
];
/// Where the file is mapped: where programs that are not position-independent usually are.
const BASE: u64 = 0x40_0000;
/// The largest pages that a kernel of either architecture has.
const PAGE: u64 = 0x1_0000;
/// `Elf64_Ehdr`, and two of `Elf64_Phdr`.
const HEADERS: u64 = 64 + 2 * 56;

/// What a launcher starts, and with what. All are absolute paths.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The dynamic linker.
    pub loader: &'a str,
    /// The folder of its libraries.
    pub libraries: &'a str,
    /// The program.
    pub program: &'a str,
}

/// A path can't be handed to a program.
#[derive(Debug, thiserror::Error)]
#[error("a path with a NUL byte can't be started: {0:?}")]
pub struct LaunchError(String);

/// A static program that starts `launch.program` with the arguments and the environment that it is given. It ends with 127
/// when the dynamic linker can't be started.
///
/// # Errors
/// [`LaunchError`] when a path has a NUL byte.
pub fn launcher(arch: Arch, launch: &Launch<'_>) -> Result<Vec<u8>, LaunchError> {
    let (machine, code): (u16, &[u8]) = match arch {
        Arch::X86_64 => (EM_X86_64, &X86_64),
        Arch::Aarch64 => (EM_AARCH64, &AARCH64),
    };
    // In the order of the tables in `launcher/*.S`.
    let strings = [
        launch.loader,
        "--inhibit-cache",
        "--argv0",
        "--library-path",
        launch.libraries,
        launch.program,
    ];
    let table = HEADERS + code.len() as u64;
    let mut next = BASE + table + 8 * strings.len() as u64;
    let (mut addresses, mut texts) = (Vec::new(), Vec::new());
    for string in strings {
        let text = CString::new(string).map_err(|_| LaunchError(string.to_owned()))?;
        addresses.extend(next.to_le_bytes());
        next += text.as_bytes_with_nul().len() as u64;
        texts.extend(text.into_bytes_with_nul());
    }
    let mut file = headers(machine, next - BASE);
    for part in [code, &addresses, &texts] {
        file.extend(part);
    }
    Ok(file)
}

/// The headers of a file of `size` bytes that is mapped as a whole and started right behind them (System V ABI, chapters
/// 4 and 5).
fn headers(machine: u16, size: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(ET_EXEC.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    // Entry, program headers, no sections.
    for field in [BASE + HEADERS, 64, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    // Sizes and numbers: this header, program headers, sections.
    for field in [64_u16, 56, 2, 0, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    // Type, flags, offset, address twice, size twice, alignment.
    let load = (PT_LOAD, PF_R | PF_X, [0, BASE, BASE, size, size, PAGE]);
    let stack = (PT_GNU_STACK, PF_R | PF_W, [0, 0, 0, 0, 0, 16]);
    for (kind, flags, fields) in [load, stack] {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        fields.iter().for_each(|field: &u64| bytes.extend(field.to_le_bytes()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::process::Command;

    use crate::linkage::Linkage;

    use super::*;

    /// A launcher of this machine's `/bin/sh`, in a folder.
    fn of_shell(folder: &Path, loader: Option<&str>) -> std::path::PathBuf {
        let shell = std::fs::canonicalize("/bin/sh").unwrap();
        let linker = Linkage::read(&std::fs::read(&shell).unwrap()).unwrap().interpreter.unwrap();
        let linker = std::fs::canonicalize(linker).unwrap();
        let launch = Launch {
            loader: loader.unwrap_or(linker.to_str().unwrap()),
            libraries: linker.parent().unwrap().to_str().unwrap(),
            program: shell.to_str().unwrap(),
        };
        let arch = Arch::ALL.into_iter().find(|arch| arch.gnu() == std::env::consts::ARCH);
        // `cp` makes the program: had this process ever held it open for writing, the child of another test could hold it
        // still, and nothing that is being written can be started (ETXTBSY).
        let (written, path) = (folder.join("written"), folder.join("launcher"));
        std::fs::write(&written, launcher(arch.unwrap(), &launch).unwrap()).unwrap();
        std::fs::set_permissions(&written, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new("cp").arg(&written).arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn arguments_name_and_environment_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(of_shell(folder.path(), None));
        command.arg0("my name").args(["-c", r#"printf '%s|' "$0" "$GREETING" "$@""#]);
        command.args(["zero", "", "two words"]).env_clear().env("GREETING", "hello");
        let out = command.output().unwrap();
        assert!(out.status.success(), "{out:?}");
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "zero|hello||two words|");
        let mut command = Command::new(folder.path().join("launcher"));
        let out =
            command.arg0("my name").args(["-c", r#"printf %s "$0"; exit 7"#]).output().unwrap();
        assert_eq!((out.status.code(), &out.stdout[..]), (Some(7), &b"my name"[..]));
    }

    #[test]
    fn what_can_not_be_started_is_status_127() {
        let folder = tempfile::tempdir().unwrap();
        let path = of_shell(folder.path(), Some("/nix/store/nothing"));
        assert_eq!(Command::new(path).status().unwrap().code(), Some(127));
    }

    #[test]
    fn a_launcher_wants_nothing_itself() {
        let launch = Launch { loader: "/a", libraries: "/b", program: "/c" };
        for arch in Arch::ALL {
            let bytes = launcher(arch, &launch).unwrap();
            assert_eq!(Linkage::read(&bytes).unwrap(), Linkage::default());
            assert!(bytes.ends_with(b"--library-path\0/b\0/c\0"));
        }
        let launch = Launch { program: "/c\0", ..launch };
        assert!(launcher(Arch::X86_64, &launch).is_err());
    }
}
