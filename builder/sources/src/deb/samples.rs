//! Packages for tests, made byte by byte, so that each can be wrong in one way.

use std::io::Write as _;

/// A member of a tar archive: type flag, path, link target, mode, owner, content.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) flag: u8,
    pub(crate) path: String,
    pub(crate) target: String,
    pub(crate) mode: u32,
    pub(crate) gid: u32,
    pub(crate) content: Vec<u8>,
}

pub(crate) fn member(flag: u8, path: &str, target: &str, content: &[u8]) -> Sample {
    let mode = if flag == b'5' { 0o755 } else { 0o644 };
    let content = content.to_vec();
    Sample { flag, path: path.into(), target: target.into(), mode, gid: 0, content }
}

pub(crate) fn file(path: &str, content: &[u8]) -> Sample {
    member(b'0', path, "", content)
}

pub(crate) fn directory(path: &str) -> Sample {
    member(b'5', path, "", b"")
}

/// A whole archive; names of 100 bytes and more as GNU long names.
pub(crate) fn tar(members: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sample in members {
        for (flag, name) in [(b'L', &sample.path), (b'K', &sample.target)] {
            if name.len() >= 100 {
                let long = [name.as_bytes(), b"\0"].concat();
                append(&mut bytes, &member(flag, "././@LongLink", "", &long));
            }
        }
        append(&mut bytes, sample);
    }
    bytes.extend([0; 1024]);
    bytes
}

fn append(bytes: &mut Vec<u8>, sample: &Sample) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &sample.path.as_bytes()[..sample.path.len().min(99)]);
    put(100, format!("{:07o}\0", sample.mode).as_bytes());
    put(108, b"0000000\0");
    put(116, format!("{:07o}\0", sample.gid).as_bytes());
    put(124, format!("{:011o}\0", sample.content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[sample.flag]);
    put(157, &sample.target.as_bytes()[..sample.target.len().min(99)]);
    put(257, b"ustar  \0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes.extend(header);
    bytes.extend(&sample.content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

/// A kernel module that depends on others: `x,y`, or nothing.
pub(crate) fn module(depends: &str) -> Vec<u8> {
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};
    let mut elf =
        object::write::Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = elf.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    elf.append_section_data(section, format!("depends={depends}\0").as_bytes(), 1);
    elf.write().unwrap()
}

/// How `data.tar` is compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packing {
    None,
    Xz,
    Zstd,
    Gzip,
}

pub(crate) fn compress(bytes: &[u8], packing: Packing) -> (Vec<u8>, &'static str) {
    match packing {
        Packing::None => (bytes.to_vec(), ""),
        Packing::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(bytes).unwrap();
            (encoder.finish().unwrap(), ".xz")
        }
        Packing::Zstd => (zstd::encode_all(bytes, 1).unwrap(), ".zst"),
        Packing::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            (encoder.finish().unwrap(), ".gz")
        }
    }
}

pub(crate) fn ar(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in parts {
        let size = content.len();
        bytes.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100644).bytes(),
        );
        bytes.extend(*content);
        if size % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

pub(crate) const CONTROL: &[u8] =
    b"Package: sample\nVersion: 1.0-1\nArchitecture: amd64\nDescription: a sample\n";

/// A package of these members, `data.tar` as given.
pub(crate) fn deb_of(data: &[u8], packing: Packing) -> Vec<u8> {
    let control = tar(&[directory("./"), file("./control", CONTROL)]);
    let (data, suffix) = compress(data, packing);
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &control),
        (&format!("data.tar{suffix}"), &data),
    ])
}

pub(crate) fn deb(members: &[Sample]) -> Vec<u8> {
    deb_of(&tar(members), Packing::None)
}
