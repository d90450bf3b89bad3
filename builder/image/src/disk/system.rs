//! Writes a disk whose root is written to, and whose boot partition belongs to the system on it: a NixOS system.
//!
//! In: the laid-out ext4 root, files for the boot partition, what a BIOS and a board's firmware want. Out: the same
//! partitions as of an appliance's disk, but for root and hash tree: one root, which may grow to the end of the disk.

use std::io::{Seek, Write};

use mailkiln_pin::{Arch, Sha256};

use super::assemble::{FOLDER, write_fat, write_table};
use super::command_line::grub_script;
use super::place::{Extent, Placer};
use super::{ALIGNMENT, DiskError, Firmware, blobs};
use crate::ext4::{Ext4, Fill};
use crate::fat::FatFile;
use crate::gpt::{self, Gpt, Lba, Partition, RESERVED, SECTOR};
use crate::grub::Grub;
use crate::guid::Guid;

/// Labels that nixpkgs' own images have: a host that is made for those mounts this disk too.
const ESP_LABEL: &str = "ESP";

/// What the partition of the root is called, by which such disks are known.
pub(crate) const SYSTEM_LABEL: &str = "nixos";

/// Everything that makes such a disk.
#[derive(Debug)]
pub struct SystemInput<'a> {
    /// Whose machine code is in it.
    pub arch: Arch,
    /// Where the first partition starts, in bytes: a multiple of [`ALIGNMENT`].
    pub start: u64,
    /// Bytes of the boot partition: a multiple of [`ALIGNMENT`].
    pub esp: u64,
    /// The disk is a multiple of this long: of so many bytes, a multiple of [`ALIGNMENT`].
    pub multiple: u64,
    /// What is on it.
    pub files: Vec<FatFile<'a>>,
    /// The root file system, laid out.
    pub root: &'a Ext4,
    /// A digest of what is in the root.
    pub identity: Sha256,
    /// GRUB and what it shall start, when machines with a BIOS shall boot it too.
    pub bios: Option<Loader<'a>>,
    /// What the machine's own firmware wants to find.
    pub firmware: Firmware<'a>,
}

/// What GRUB starts: files of the boot partition by their paths, with `/` at the front.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// GRUB itself.
    pub grub: &'a Grub<'a>,
    /// Bytes of its partition: a multiple of [`ALIGNMENT`].
    pub size: u64,
    /// The kernel.
    pub kernel: &'a str,
    /// The initrd.
    pub initrd: Option<&'a str>,
    /// The kernel's command line, without quotes.
    pub command_line: &'a str,
}

/// A disk that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemDisk {
    /// Length of the image in bytes.
    pub size: u64,
    /// What needs flashing, ascending.
    pub extents: Vec<Extent>,
    /// The partition table.
    pub table: Gpt,
}

/// Writes the disk to `out`, a new file. `fill` brings the contents of the root's files.
///
/// # Errors
/// Those of the disk, or of `fill`; what is in `out` then is void.
pub fn assemble_system<E: From<DiskError>>(
    input: &SystemInput<'_>,
    out: impl Write + Seek,
    fill: impl FnOnce(&mut dyn Fill) -> Result<(), E>,
) -> Result<SystemDisk, E> {
    let places = Places::new(input)?;
    let mut files = input.files.clone();
    if let Some(Loader { kernel, initrd, command_line, .. }) = input.bios {
        let config = grub_script(kernel, initrd, command_line);
        files.push(FatFile {
            path: format!("{FOLDER}/grub.cfg"),
            content: config.into_bytes().into(),
        });
    }
    files.extend(input.firmware.files.iter().cloned());
    let identity = identity(&input.identity, &files);
    let mut out = Placer::new(out);
    write_fat(ESP_LABEL, places.esp, input.esp, &identity, &files, &mut out)?;
    let written = input
        .root
        .write::<Failed<E>>(out.output(), places.root, |filler| fill(filler).map_err(Failed::Fill));
    match written {
        Ok(written) => out.note(written.extents),
        Err(Failed::Fill(error)) => return Err(error),
        Err(Failed::Ext4(error)) => return Err(DiskError::from(error).into()),
    }
    let table = places.table(input, &identity);
    let bios = input.bios.zip(places.bios);
    let bios = bios.map(|(loader, start)| (loader.grub, start, loader.size));
    write_table(bios, &input.firmware, &table, &mut out)?;
    let extents = out.finish().map_err(DiskError::from)?;
    Ok(SystemDisk { size: table.sectors * SECTOR, extents, table })
}

/// Which of the two failed.
enum Failed<E> {
    Fill(E),
    Ext4(crate::ext4::Ext4Error),
}

impl<E> From<crate::ext4::Ext4Error> for Failed<E> {
    fn from(error: crate::ext4::Ext4Error) -> Self {
        Self::Ext4(error)
    }
}

/// What GUIDs and the boot partition's serial number are derived from: all that is on the disk.
fn identity(root: &Sha256, files: &[FatFile<'_>]) -> Sha256 {
    let mut text = format!("mailkiln system {root}\n");
    for file in files {
        text.push_str(&format!("{} {}\n", Sha256::of(&file.content), file.path));
    }
    Sha256::of(text.as_bytes())
}

/// Where the partitions are, in bytes.
struct Places {
    bios: Option<u64>,
    esp: u64,
    root: u64,
}

impl Places {
    fn new(input: &SystemInput<'_>) -> Result<Self, DiskError> {
        let bios_size = input.bios.map_or(ALIGNMENT, |loader| loader.size);
        let named = [
            ("first", input.start),
            ("bios", bios_size),
            ("boot", input.esp),
            ("root", input.root.size()),
        ];
        for (partition, size) in named {
            // 2^44 keeps every sum far from the end of 64 bits.
            if size == 0 || !size.is_multiple_of(ALIGNMENT) || size > 1 << 44 {
                return Err(DiskError::Size { partition, size });
            }
        }
        blobs::check(&input.firmware.blobs, input.start)?;
        let bios = input.bios.map(|_| input.start);
        let esp = if bios.is_some() { input.start + bios_size } else { input.start };
        Ok(Self { bios, esp, root: esp + input.esp })
    }

    fn table(&self, input: &SystemInput<'_>, identity: &Sha256) -> Gpt {
        let derived = |label: &str| Guid::derived(label, identity);
        let partition = |name: &str, kind, start: u64, size: u64| Partition {
            kind,
            guid: derived(name),
            start: Lba(start / SECTOR),
            sectors: size / SECTOR,
            attributes: 0,
            name: name.to_owned(),
        };
        let size = input.root.size();
        let mut partitions = Vec::new();
        if let Some(start) = self.bios {
            partitions.push(partition("bios", gpt::kind::BIOS_BOOT, start, self.esp - start));
        }
        // The root is the last one: it grows.
        partitions.extend([
            partition("esp", gpt::kind::ESP, self.esp, input.esp),
            partition(SYSTEM_LABEL, gpt::kind::root(input.arch), self.root, size),
        ]);
        let end = self.root + size + RESERVED * SECTOR;
        let sectors = end.next_multiple_of(input.multiple) / SECTOR;
        Gpt { disk: derived("disk"), sectors, partitions }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::ext4::{Draft, Ext4Options, Owned};
    use crate::fat::Fat;
    use mailkiln_bytes_at::Window;

    const SIZE: u64 = 64 << 20;

    /// A disk with one file on each partition.
    fn disk(entry: &str, esp: u64) -> Result<(SystemDisk, Vec<u8>), DiskError> {
        let uuid = Guid::derived("nixos", &Sha256::of(b"x"));
        let options = Ext4Options { size: SIZE, uuid, label: "nixos".to_owned(), entries: 10 };
        let mut draft = Draft::new(&options)?;
        let root = draft.root();
        let file = draft.file(root, "x", Owned::root(0o444), 5, "/x")?;
        let root = draft.seal()?;
        let content = entry.as_bytes().to_vec().into();
        let input = SystemInput {
            arch: Arch::Aarch64,
            start: ALIGNMENT,
            esp,
            multiple: ALIGNMENT,
            files: vec![FatFile { path: "loader/loader.conf".to_owned(), content }],
            root: &root,
            identity: Sha256::of(b"root"),
            bios: None,
            firmware: Firmware::default(),
        };
        let mut out = Cursor::new(Vec::new());
        let disk = assemble_system::<DiskError>(&input, &mut out, |fill| {
            Ok(fill.fill(file, &mut b"hello".as_slice(), "/x")?)
        })?;
        Ok((disk, out.into_inner()))
    }

    #[test]
    fn partitions_follow_each_other_and_the_root_is_the_last() {
        let (disk, bytes) = disk("default x\n", SIZE).unwrap();
        assert_eq!(bytes.len() as u64, disk.size);
        let table = gpt::read(&bytes.as_slice()).unwrap();
        assert_eq!(table, disk.table);
        let [esp, root] = table.partitions.as_slice() else { panic!("{table:?}") };
        assert_eq!((esp.name.as_str(), root.name.as_str()), ("esp", "nixos"));
        assert_eq!(root.kind, gpt::kind::root(Arch::Aarch64));
        assert_eq!(root.start.0, esp.start.0 + esp.sectors);
        let window = Window::new(bytes.as_slice(), esp.start.bytes().unwrap(), SIZE).unwrap();
        let fat = Fat::open(window).unwrap();
        let items = fat.items().unwrap();
        let item = items.iter().find(|item| item.path == "loader/loader.conf").unwrap();
        assert_eq!(fat.read(item, 100).unwrap(), b"default x\n");
        assert!(disk.extents.is_sorted_by(|a, b| a.offset + a.length <= b.offset));
    }

    #[test]
    fn nobody_takes_it_for_an_appliance() {
        let (_, bytes) = disk("a", SIZE).unwrap();
        let said = crate::inspect::inspect(&bytes.as_slice()).unwrap_err().to_string();
        assert!(said.contains("NixOS system"), "{said}");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_another_one_other_guids() {
        let [one, same, other] = ["a", "a", "b"].map(|text| disk(text, SIZE).unwrap());
        assert!(one == same);
        assert_ne!(one.0.table.disk, other.0.table.disk);
    }

    #[test]
    fn sizes_that_are_no_mebibytes_are_refused() {
        let said = disk("a", SIZE + 512).unwrap_err().to_string();
        assert!(said.contains("boot partition"), "{said}");
    }
}
