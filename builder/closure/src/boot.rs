//! What a boot partition holds for a system, in the form that the system itself writes later.
//!
//! In: a [`System`]. Out: files by path. The form is that of nixpkgs' `systemd-boot-builder.py`: kernel and initrd in
//! `/EFI/nixos` under the names of their store paths, an entry that names them, and `loader.conf`. So what
//! `nixos-rebuild switch` writes on the machine replaces this, and removes it when its generation goes.

use mailkiln_pin::Arch;

use crate::system::{BootFile, System};

/// The folder for kernels and initrds.
const FOLDER: &str = "EFI/nixos";
/// The first generation. Newer nixpkgs call entries by their digest, and remove each of their own that they would not
/// write; older ones call them like this and write it again.
const ENTRY: &str = "nixos-generation-1.conf";

/// systemd-boot.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// What the program is called by its architecture: `x64`.
    suffix: &'static str,
    /// The program.
    program: &'a [u8],
}

impl<'a> Loader<'a> {
    /// The program for an architecture.
    pub fn new(arch: Arch, program: &'a [u8]) -> Self {
        Self { suffix: suffix(arch), program }
    }

    /// What systemd calls the program for an architecture.
    pub fn file_name(arch: Arch) -> String {
        format!("systemd-boot{}.efi", suffix(arch))
    }
}

fn suffix(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x64",
        Arch::Aarch64 => "aa64",
    }
}

/// What is started by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The kernel's path on the boot partition, with `/` at the front.
    pub kernel: String,
    /// The initrd's.
    pub initrd: Option<String>,
    /// The kernel's command line.
    pub command_line: String,
}

impl BootEntry {
    /// What starts a system.
    pub fn of(system: &System) -> Self {
        Self {
            kernel: format!("/{}", place(&system.kernel)),
            initrd: system.initrd.as_ref().map(|initrd| format!("/{}", place(initrd))),
            command_line: system.command_line.clone(),
        }
    }

    /// Every file of the boot partition for a system and its loader, by path.
    pub fn files<'a>(&self, system: &'a System, loader: Loader<'a>) -> Vec<(String, Vec<u8>)> {
        let text = |path: &str, text: String| (path.to_owned(), text.into_bytes());
        let mut files = vec![
            // Where firmware looks, and where `bootctl update` does.
            (format!("EFI/BOOT/BOOT{}.EFI", loader.suffix.to_uppercase()), loader.program.to_vec()),
            (format!("EFI/systemd/systemd-boot{}.efi", loader.suffix), loader.program.to_vec()),
        ];
        let copied = [Some(&system.kernel), system.initrd.as_ref(), system.device_tree.as_ref()];
        files.extend(copied.into_iter().flatten().map(|file| (place(file), file.bytes.clone())));
        files.extend([
            text(&format!("loader/entries/{ENTRY}"), self.entry(system)),
            // As `bootctl install` writes it: entries are files of the Boot Loader Specification.
            text("loader/entries.srel", "type1\n".to_owned()),
            text("loader/loader.conf", format!("timeout 5\ndefault {ENTRY}\nconsole-mode keep\n")),
        ]);
        files
    }

    /// The entry (UAPI.1, Boot Loader Specification, "Type #1"). The day on which it was built is no fact of the closure.
    fn entry(&self, system: &System) -> String {
        let mut text = format!("title NixOS\nversion Generation 1 {}\n", system.label);
        text.push_str(&format!("linux {}\n", self.kernel));
        if let Some(initrd) = &self.initrd {
            text.push_str(&format!("initrd {initrd}\n"));
        }
        text.push_str(&format!("options {}\n", self.command_line));
        if let Some(tree) = &system.device_tree {
            text.push_str(&format!("devicetree /{}\n", place(tree)));
        }
        text.push_str(&format!("sort-key {}\n", system.sort_key));
        text
    }
}

/// Where a file of the store is copied to: under the name of its store path, joined with its own.
fn place(file: &BootFile) -> String {
    match file.name == file.object {
        true => format!("{FOLDER}/{}.efi", file.name),
        false => format!("{FOLDER}/{}-{}.efi", file.object, file.name),
    }
}
