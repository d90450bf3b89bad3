//! What machine an image needs, read from the image itself.
//!
//! In: an image. Out: its architecture, and for a board what QEMU starts in place of its firmware.

use std::path::{Path, PathBuf};

use mailkiln_bytes_at::Window;
use mailkiln_image::fat::Fat;
use mailkiln_image::gpt;
use mailkiln_image::inspect::MOST_BOOT_BYTES;
use mailkiln_image::uki::Uki;
use mailkiln_pin::Arch;
use mailkiln_spec::target::{Qemu, builtin_target};

use super::MachineError;

/// An image's machine.
#[derive(Debug)]
pub struct Guest {
    /// Its processor.
    pub arch: Arch,
    /// The board that it was built for, where QEMU has one that stands for it.
    pub board: Option<Board>,
}

/// A board, and the files of its ESP that are handed to QEMU.
#[derive(Debug)]
pub struct Board {
    /// QEMU's machine.
    pub qemu: Qemu,
    /// Contents of `qemu.kernel`.
    kernel: Vec<u8>,
    /// Contents of `qemu.device_tree`.
    device_tree: Vec<u8>,
}

/// Where a board's files were put for QEMU.
#[derive(Debug, Clone)]
pub struct BoardFiles {
    /// QEMU's machine.
    pub qemu: Qemu,
    /// What is started.
    pub kernel: PathBuf,
    /// What it is told.
    pub device_tree: PathBuf,
}

impl Guest {
    /// Reads the partition table and the ESP of an image.
    ///
    /// # Errors
    /// [`MachineError::Format`] for what can't be booted without unpacking, [`MachineError::NoRoot`]
    /// for what is no image of ours.
    pub fn read(image: &Path) -> Result<Self, MachineError> {
        super::driver(image)?;
        read(image).map_err(|why| MachineError::NoRoot { image: image.to_owned(), why })
    }
}

fn read(image: &Path) -> Result<Guest, String> {
    let disk = mailkiln_format::open(image).map_err(|error| error.to_string())?;
    let table = gpt::read(&*disk).map_err(|error| error.to_string())?;
    let has = |kind| table.partitions.iter().find(|partition| partition.kind == kind);
    let arch = Arch::ALL.into_iter().find(|arch| has(gpt::kind::root(*arch)).is_some());
    let arch = arch.ok_or("no partition holds a root file system")?;
    let Some(esp) = has(gpt::kind::ESP) else { return Ok(Guest { arch, board: None }) };
    let start = esp.start.bytes().ok_or("the ESP is beyond every disk")?;
    let esp = Window::new(&*disk, start, esp.sectors * gpt::SECTOR);
    let esp = Fat::open(esp.ok_or("the ESP is beyond its end")?);
    let esp = esp.map_err(|error| error.to_string())?;
    let items = esp.items().map_err(|error| error.to_string())?;
    let file = |path: &str| {
        let item = items.iter().find(|item| item.path.eq_ignore_ascii_case(path));
        let item = item.ok_or_else(|| format!("its ESP lacks {path}"))?;
        esp.read(item, MOST_BOOT_BYTES).map_err(|error| error.to_string())
    };
    // Only UKIs of boards are read: elsewhere nothing depends on the target.
    let board = match arch {
        Arch::X86_64 => None,
        Arch::Aarch64 => board_of(&file("EFI/BOOT/BOOTAA64.EFI")?),
    };
    let board = board.map(|qemu| {
        Ok::<_, String>(Board {
            kernel: file(&qemu.kernel)?,
            device_tree: without(file(&qemu.device_tree)?, &qemu.without),
            qemu,
        })
    });
    Ok(Guest { arch, board: board.transpose()? })
}

/// The machine of the target that a UKI says it was built for.
fn board_of(uki: &[u8]) -> Option<Qemu> {
    let uki = Uki::parse(uki).ok()?;
    let variant = uki.os_release?.lines().find_map(|line| line.strip_prefix("VARIANT_ID="))?;
    builtin_target(variant).ok()?.qemu
}

/// A device tree in which no device has any of the `compatible` strings: each is overwritten with
/// as many dashes, which no driver knows. Nothing moves.
fn without(mut tree: Vec<u8>, compatible: &[String]) -> Vec<u8> {
    for name in compatible {
        let terminated = [name.as_bytes(), &[0]].concat();
        let places: Vec<usize> = tree
            .windows(terminated.len())
            .enumerate()
            .filter_map(|(at, bytes)| (bytes == terminated).then_some(at))
            .collect();
        for at in places {
            tree[at..at + name.len()].fill(b'-');
        }
    }
    tree
}

impl Board {
    /// Writes the files into `folder`, which must outlive QEMU.
    ///
    /// # Errors
    /// [`MachineError::File`] for the one that can't be written.
    pub fn unpack(&self, folder: &Path) -> Result<BoardFiles, MachineError> {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            match std::fs::write(&path, bytes) {
                Ok(()) => Ok(path),
                Err(source) => Err(MachineError::File { path, source }),
            }
        };
        Ok(BoardFiles {
            qemu: self.qemu.clone(),
            kernel: write("kernel", &self.kernel)?,
            device_tree: write("device-tree", &self.device_tree)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_taken_out_by_name_and_nothing_moves() {
        let tree = b"\0a,b\0a,b-c\0x".to_vec();
        assert_eq!(without(tree.clone(), &["a,b".to_owned()]), b"\0---\0a,b-c\0x");
        assert_eq!(without(tree.clone(), &["a,b-c".to_owned()]), b"\0a,b\0-----\0x");
    }

    #[test]
    fn what_has_no_root_partition_is_not_started() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("x.img");
        std::fs::write(&image, [0; 4096]).unwrap();
        let said = Guest::read(&image).unwrap_err().to_string();
        assert!(said.contains("x.img") && said.contains("mailkiln build"), "{said}");
        std::fs::write(&image, b"\x28\xb5\x2f\xfd").unwrap();
        let said = Guest::read(&image).unwrap_err().to_string();
        assert!(said.contains("mailkiln convert"), "{said}");
    }
}
