//! Seeds that hold one another: a package, its layer and pack, the root made of them, the disk.

use std::io::{Cursor, Write as _};

use mailkiln_format::{Bmap, Sparse};
use mailkiln_image::disk::{Boot, DiskInput, Sizes, assemble};
use mailkiln_image::fat::Fat;
use mailkiln_image::fuzz::records;
use mailkiln_image::gpt::Gpt;
use mailkiln_pin::Arch;
use mailkiln_sources::{Policy, unpack_deb};
use mailkiln_squashfs::{Pack, PackWriter, Params, Plan};
use object::write::{Object, StandardSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use tar::{EntryType, Header};

use crate::{Error, Seeds};

const MIB: u64 = 1 << 20;
const CONTROL: &[u8] =
    b"Package: sample\nVersion: 1.0-1\nArchitecture: amd64\nDescription: a sample\n";

pub(crate) fn seeds() -> Result<Seeds, Error> {
    let module = module()?;
    let control = archive(&[("./control", EntryType::Regular, "", CONTROL)])?;
    let folders = [
        "",
        "sbin",
        "usr",
        "usr/bin",
        "usr/share",
        "usr/share/doc",
        "usr/share/doc/sample",
        "usr/lib",
        "usr/lib/modules",
        "usr/lib/modules/6",
        "usr/lib/modules/6/kernel",
        "var",
        "var/lib",
        "var/lib/dpkg",
        "var/lib/dpkg/info",
    ];
    let folders = folders.map(|path| format!("./{path}/"));
    let folders = folders.iter().map(|path| (path.as_str(), EntryType::Directory, "", &b""[..]));
    let long = format!("./usr/{}/", "d".repeat(110));
    let files = [
        ("./sbin/a", EntryType::Regular, "", &[b'a'; 3000][..]),
        ("./usr/bin/b", EntryType::Link, "./sbin/a", b""),
        ("./usr/bin/c", EntryType::Symlink, "../sbin/a", b""),
        (
            "./usr/share/doc/sample/copyright",
            EntryType::Regular,
            "",
            b"Format: x\n\nFiles: *\nLicense: MIT\n",
        ),
        ("./usr/lib/modules/6/kernel/a.ko", EntryType::Regular, "", &module),
        (&long, EntryType::Directory, "", b""),
    ];
    let data = archive(&folders.chain(files).collect::<Vec<_>>())?;
    let mut seeds = Seeds::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&data)?;
    let gz = encoder.finish()?;
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(&data)?;
    let xz = encoder.finish()?;
    let zst = zstd::encode_all(&data[..], 1)?;
    for (name, data) in
        [("data.tar", &data), ("data.tar.gz", &gz), ("data.tar.xz", &xz), ("data.tar.zst", &zst)]
    {
        seeds.push(("deb", package(&control, name, data)));
    }
    let mut writer = PackWriter::new(Vec::new(), Params { block_size: 4096, level: 1 })?;
    let layer = unpack_deb(&package(&control, "data.tar", &data), &Policy::default(), &mut writer)?;
    let pack = writer.finish()?;
    seeds.extend([("tar", data), ("kernel_module", module), ("layer", layer.encode()?)]);
    seeds.push(("pack", pack.clone()));
    let packs = [Pack::from_bytes(pack.into())?];
    let tree = mailkiln_sources::assemble(&[layer])?;
    let plan = Plan::new(&tree, &packs, 0)?;
    let mut squashfs = Vec::new();
    plan.write(&mut squashfs)?;
    seeds.push(("squashfs", squashfs));
    seeds.extend(disk(&plan)?);
    Ok(seeds)
}

/// The seeds that are a disk, or a part of one.
fn disk(root: &Plan<'_>) -> Result<Seeds, Error> {
    let input = DiskInput {
        arch: Arch::X86_64,
        sizes: Sizes {
            start: MIB,
            bios: MIB,
            esp: 34 * MIB,
            root: 2 * MIB,
            verity: MIB,
            multiple: MIB,
        },
        root,
        boot: Boot {
            stub: &stub(),
            kernel: &[1; 600],
            initrd: &[2; 600],
            os_release: "ID=mailkiln\n",
            uname: "6.12.0",
            command_line: "console=ttyS0",
        },
        bios: None,
        firmware: mailkiln_image::disk::Firmware::default(),
    };
    let mut image = Cursor::new(Vec::new());
    let disk = assemble(&input, &mut image)?;
    let image = image.into_inner();
    let part = |name| part(&image, &disk.table, name).ok_or(name);
    let (esp, verity) = (part("esp")?, part("root-a-verity")?);
    let fat = Fat::open(esp)?;
    let kernel = fat.items()?.into_iter().find(|item| item.path.ends_with(".EFI"));
    let kernel = fat.read(&kernel.ok_or("no kernel on the ESP")?, MIB)?;
    let bmap = Bmap::of(&Sparse::new(&image.as_slice(), &disk.extents))?.to_xml();
    Ok(vec![
        ("bmap", bmap.into_bytes()),
        ("disk", records(&image)),
        ("fat", records(esp)),
        ("uki", stub()),
        ("grub", kernel[..1024].to_vec()),
        ("uki", kernel),
        ("verity", verity[..512].to_vec()),
        ("verity_init", verity[..512].to_vec()),
        // The header, and the array of 128 entries of 128 bytes behind it.
        ("gpt", image[512..1024 + 128 * 128].to_vec()),
    ])
}

/// The bytes of a partition.
fn part<'a>(image: &'a [u8], table: &Gpt, name: &str) -> Option<&'a [u8]> {
    let partition = table.partitions.iter().find(|partition| partition.name == name)?;
    let start = usize::try_from(partition.start.bytes()?).ok()?;
    image.get(start..)?.get(..usize::try_from(partition.sectors).ok()? * 512)
}

/// A package around two inner archives: deb(5).
fn package(control: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar", control), (name, data)]
    {
        bytes.extend(format!("{name:<16}{:<32}{:<10}`\n", 0, content.len()).bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// A tar archive of these members: path, type, link's target, content.
fn archive(members: &[(&str, EntryType, &str, &[u8])]) -> Result<Vec<u8>, Error> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, kind, target, content) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        if target.is_empty() {
            archive.append_data(&mut header, path, *content)?;
        } else {
            archive.append_link(&mut header, path, target)?;
        }
    }
    Ok(archive.into_inner()?)
}

/// A kernel module, as far as its index goes.
fn module() -> Result<Vec<u8>, Error> {
    let mut module = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let _ = module.section_id(StandardSection::Text);
    let information =
        module.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    let fields = b"license=GPL\0alias=pci:v00001AF4d*\0softdep=pre: b\0depends=\0name=a\0";
    module.append_section_data(information, fields, 1);
    Ok(module.write()?)
}

/// The smallest EFI stub: headers with room for more sections, and one section.
fn stub() -> Vec<u8> {
    let (coff, optional, table) = (0x40, 0x58, 0x148);
    let mut stub = vec![0; 1536];
    for (at, bytes) in [
        (0, &b"MZ"[..]),
        (0x3c, &[0x40]),
        (coff, b"PE\0\0\x64\x86\x01"),
        (coff + 20, &[240]),
        (optional, &[0x0b, 0x02]),
        (optional + 32, &[0x00, 0x10]),
        (optional + 36, &[0x00, 0x02]),
        (optional + 56, &[0x00, 0x20]),
        (optional + 60, &[0x00, 0x04]),
        (optional + 108, &[16]),
        (table, b".text"),
        (table + 8, &[0, 2, 0, 0, 0, 0x10, 0, 0, 0, 2, 0, 0, 0, 4]),
    ] {
        stub[at..at + bytes.len()].copy_from_slice(bytes);
    }
    stub
}
