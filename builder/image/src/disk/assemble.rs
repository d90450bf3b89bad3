//! Writes a disk: the root file system first, since everything else refers to its hash.

use std::borrow::Cow;
use std::io::{self, BufWriter, Seek, Write};

use mailkiln_pin::{Arch, Sha256};

use super::command_line::{complete, grub_config};
use super::place::Placer;
use super::seed_place::{SEED_FILE, SEED_ROOM};
use super::{ALIGNMENT, Disk, DiskError, DiskInput, Firmware, Sizes, blobs};
use crate::fat::{FatFile, FatVolume};
use crate::gpt::{self, Gpt, Lba, Partition, RESERVED, SECTOR};
use crate::grub::Grub;
use crate::guid::Guid;
use crate::uki::{Parts, default_program};
use crate::verity::{BLOCK, Hasher, Verity};

/// Where plain kernel and initrd lie on the boot partition, for GRUB.
pub(super) const FOLDER: &str = "kiln";

/// Writes the disk that `input` describes to `out`, which must be empty: a new file.
///
/// The image ends with the backup partition table, so the output has its full length
/// afterwards. The same input gives the same bytes.
///
/// # Errors
/// [`DiskError`]; what is in `out` then is void.
pub fn assemble(input: &DiskInput<'_>, out: impl Write + Seek) -> Result<Disk, DiskError> {
    let places = Places::new(input)?;
    let mut out = Placer::new(out);
    let verity = write_root(input, &places, &mut out)?;
    let command_line = complete(input.boot.command_line, &verity.root_hash, verity.data_blocks)?;
    let uki = Parts {
        os_release: input.boot.os_release,
        uname: input.boot.uname,
        command_line: &command_line,
        initrd: input.boot.initrd,
        kernel: input.boot.kernel,
    }
    .append_to(input.boot.stub)?;
    let identity = identity(&verity.root_hash, &uki);
    let files = boot_files(input, uki, &command_line)?;
    write_esp(input, &places, &identity, &files, &mut out)?;
    drop(files);
    let table = places.table(input.arch, &verity.root_hash, &identity);
    let bios = input.bios.zip(places.bios).map(|(grub, start)| (grub, start, input.sizes.bios));
    write_table(bios, &input.firmware, &table, &mut out)?;
    Ok(Disk {
        size: table.sectors * SECTOR,
        extents: out.finish()?,
        root_hash: verity.root_hash,
        data_blocks: verity.data_blocks,
        table,
        command_line,
    })
}

/// Where the partitions are, in bytes.
struct Places {
    bios: Option<u64>,
    esp: u64,
    root: u64,
    verity: u64,
    end: u64,
    sizes: Sizes,
}

impl Places {
    fn new(input: &DiskInput<'_>) -> Result<Self, DiskError> {
        let sizes = input.sizes;
        let named = [
            ("first", sizes.start),
            ("boot", sizes.esp),
            ("root", sizes.root),
            ("verity", sizes.verity),
            ("bios", sizes.bios),
            ("whole", sizes.multiple),
        ];
        for (partition, size) in named {
            // 2^40 keeps every sum far from the end of 64 bits.
            if size == 0 || !size.is_multiple_of(ALIGNMENT) || size > 1 << 40 {
                return Err(DiskError::Size { partition, size });
            }
        }
        let bios = input.bios.map(|_| sizes.start);
        let esp = if bios.is_some() { sizes.start + sizes.bios } else { sizes.start };
        let root = esp + sizes.esp;
        let verity = root + sizes.root;
        let places = Self { bios, esp, root, verity, end: verity + sizes.verity, sizes };
        let data = input.root.size();
        blobs::check(&input.firmware.blobs, sizes.start)?;
        fits("root", data, sizes.root)?;
        fits("verity", crate::verity::image_size(data / BLOCK as u64), sizes.verity)?;
        Ok(places)
    }

    fn table(&self, arch: Arch, root_hash: &Sha256, identity: &Sha256) -> Gpt {
        let (root_guid, verity_guid) = Guid::halves(root_hash);
        let partition = |name: &str, kind, guid, start: u64, size: u64, attributes| Partition {
            kind,
            guid,
            start: Lba(start / SECTOR),
            sectors: size / SECTOR,
            attributes,
            name: name.to_owned(),
        };
        let derived = |label| Guid::derived(label, identity);
        let mut partitions = Vec::new();
        if let Some(start) = self.bios {
            let kind = gpt::kind::BIOS_BOOT;
            partitions.push(partition("bios", kind, derived("bios"), start, self.sizes.bios, 0));
        }
        let Sizes { esp, root, verity, .. } = self.sizes;
        let read_only = gpt::READ_ONLY;
        let (root_kind, verity_kind) = (gpt::kind::root(arch), gpt::kind::root_verity(arch));
        partitions.extend([
            partition("esp", gpt::kind::ESP, derived("esp"), self.esp, esp, 0),
            partition("root-a", root_kind, root_guid, self.root, root, read_only),
            partition("root-a-verity", verity_kind, verity_guid, self.verity, verity, read_only),
        ]);
        // The backup table needs its sectors, at the end of what the provider will see.
        let end = self.end + RESERVED * SECTOR;
        let sectors = end.next_multiple_of(self.sizes.multiple) / SECTOR;
        Gpt { disk: derived("disk"), sectors, partitions }
    }
}

pub(super) fn fits(partition: &'static str, needed: u64, room: u64) -> Result<(), DiskError> {
    if needed <= room { Ok(()) } else { Err(DiskError::Full { partition, needed, room }) }
}

/// Writes to two outputs at once.
struct Tee<A, B>(A, B);

impl<A: Write, B: Write> Write for Tee<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

fn write_root(
    input: &DiskInput<'_>,
    places: &Places,
    out: &mut Placer<impl Write + Seek>,
) -> Result<Verity, DiskError> {
    let mut hasher = Hasher::new(salt(&input.root.identity()));
    let root = out.at(places.root, input.root.size())?;
    let mut tee = BufWriter::with_capacity(1 << 20, Tee(&mut hasher, root));
    input.root.write(&mut tee)?;
    tee.flush()?;
    drop(tee);
    let verity = hasher.finish()?;
    out.put(places.verity, &verity.image)?;
    Ok(verity)
}

/// The salt of the hash tree: different for every content, the same for the same one.
fn salt(identity: &Sha256) -> Sha256 {
    Sha256::of(format!("mailkiln verity salt {identity}").as_bytes())
}

/// What GUIDs and the volume's serial number are derived from: root and boot program.
fn identity(root_hash: &Sha256, uki: &[u8]) -> Sha256 {
    Sha256::of(format!("mailkiln disk {root_hash} {}", Sha256::of(uki)).as_bytes())
}

fn boot_files<'a>(
    input: &DiskInput<'a>,
    uki: Vec<u8>,
    command_line: &str,
) -> Result<Vec<FatFile<'a>>, DiskError> {
    let file = |path: String, content: Cow<'a, [u8]>| FatFile { path, content };
    let mut files = vec![file(format!("EFI/BOOT/{}", default_program(input.arch)), uki.into())];
    if input.bios.is_some() {
        let config = grub_config(FOLDER, command_line)?;
        files.extend([
            file(format!("{FOLDER}/grub.cfg"), config.into_bytes().into()),
            file(format!("{FOLDER}/initrd"), input.boot.initrd.into()),
            file(format!("{FOLDER}/vmlinuz"), input.boot.kernel.into()),
        ]);
    }
    files.extend(input.firmware.files.iter().cloned());
    files.push(file(SEED_FILE.to_owned(), vec![0; SEED_ROOM as usize].into()));
    Ok(files)
}

fn write_esp(
    input: &DiskInput<'_>,
    places: &Places,
    identity: &Sha256,
    files: &[FatFile<'_>],
    out: &mut Placer<impl Write + Seek>,
) -> Result<(), DiskError> {
    write_fat("MAILKILN", places.esp, input.sizes.esp, identity, files, out)
}

/// Writes a boot partition of `size` bytes at byte `start`.
pub(super) fn write_fat(
    label: &str,
    start: u64,
    size: u64,
    identity: &Sha256,
    files: &[FatFile<'_>],
    out: &mut Placer<impl Write + Seek>,
) -> Result<(), DiskError> {
    let [a, b, c, d, ..] = *identity.as_bytes();
    let id = u32::from_be_bytes([a, b, c, d]);
    let volume = FatVolume { size, first_sector: start / SECTOR, id, label };
    for piece in volume.write(files)? {
        out.put(start + piece.offset, &piece.bytes)?;
    }
    Ok(())
}

/// Writes the table and what stands before the first partition: GRUB's boot sector, and a board's programs. `bios` is GRUB
/// where its partition starts, and how long that is.
pub(super) fn write_table(
    bios: Option<(&Grub<'_>, u64, u64)>,
    firmware: &Firmware<'_>,
    table: &Gpt,
    out: &mut Placer<impl Write + Seek>,
) -> Result<(), DiskError> {
    let (mut front, back) = table.encode()?;
    if let Some((grub, start, size)) = bios {
        let esp = table.partitions.iter().position(|partition| partition.name == "esp");
        let number = esp.map_or(0, |place| place + 1);
        let core = grub.core(Lba(start / SECTOR), number, FOLDER)?;
        fits("BIOS boot", core.len() as u64, size)?;
        grub.boot_sector(Lba(start / SECTOR), &mut front)?;
        gpt::mark_active(&mut front);
        out.put(start, &core)?;
    }
    if firmware.hybrid_mbr
        && let Some(esp) = table.partitions.iter().find(|partition| partition.name == "esp")
    {
        gpt::write_hybrid_mbr(&mut front, esp);
    }
    out.put(0, &front)?;
    blobs::write(&firmware.blobs, out)?;
    let backup = table.backup_at().bytes().unwrap_or(table.sectors * SECTOR);
    out.put(backup, &back)?;
    Ok(())
}
