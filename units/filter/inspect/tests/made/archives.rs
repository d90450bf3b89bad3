//! One archive of each kind, with given members.

use std::io::{Cursor, Write};

type Members<'a> = &'a [(&'a str, &'a [u8])];

pub(crate) fn zip(members: Members<'_>) -> Vec<u8> {
    zip_by(members, zip::CompressionMethod::Deflated)
}

pub(crate) fn zip_by(members: Members<'_>, method: zip::CompressionMethod) -> Vec<u8> {
    zip_with(members, zip::write::SimpleFileOptions::default().compression_method(method))
}

pub(crate) fn zip_with(members: Members<'_>, options: zip::write::SimpleFileOptions) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn tar(members: Members<'_>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn lzma(content: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut encoder = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

pub(crate) fn sevenzip(members: Members<'_>) -> Vec<u8> {
    let mut writer = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, content) in members {
        writer
            .push_archive_entry(sevenz_rust2::ArchiveEntry::new_file(name), Some(*content))
            .unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn rar(members: Members<'_>, version: rars::ArchiveVersion, is_stored: bool) -> Vec<u8> {
    let mut builder = rars::Builder::new(version).store(is_stored);
    for (name, content) in members {
        builder.add_bytes(name.as_bytes().to_vec(), content.to_vec(), None, None).unwrap();
    }
    let mut archive = Vec::new();
    builder.write_to(&mut archive, &rars::WriterResources::default(), None).unwrap();
    archive
}

pub(crate) fn cab(members: Members<'_>) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::MsZip);
    for (name, _) in members {
        folder.add_file(*name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    for (_, content) in members {
        writer.next_file().unwrap().unwrap().write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A disc with a primary tree of one file, under one name.
pub(crate) fn iso(name: &str, content: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    let record = |at: u32, length: usize, flags: u8, name: &[u8]| {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&at.to_le_bytes());
        record[10..14].copy_from_slice(&(length as u32).to_le_bytes());
        record[25] = flags;
        record[32] = name.len() as u8;
        record.extend_from_slice(name);
        record.resize(record.len().next_multiple_of(2), 0);
        record[0] = record.len() as u8;
        record
    };
    let mut image = vec![0; 20 * SECTOR];
    image[16 * SECTOR..16 * SECTOR + 6].copy_from_slice(b"\x01CD001");
    let root = record(18, SECTOR, 2, &[0]);
    image[16 * SECTOR + 156..][..root.len()].copy_from_slice(&root);
    image[17 * SECTOR..17 * SECTOR + 6].copy_from_slice(b"\xffCD001");
    let mut directory = record(18, SECTOR, 2, &[0]);
    directory.extend(record(18, SECTOR, 2, &[1]));
    directory.extend(record(19, content.len(), 0, format!("{name};1").as_bytes()));
    image[18 * SECTOR..][..directory.len()].copy_from_slice(&directory);
    image.truncate(19 * SECTOR);
    image.extend_from_slice(content);
    image.resize(image.len().next_multiple_of(SECTOR), 0);
    image
}

pub(crate) fn onenote(content: &[u8]) -> Vec<u8> {
    let mut file = b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3".to_vec();
    file.resize(1024, 0);
    file.extend_from_slice(b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac");
    file.extend_from_slice(&(content.len() as u64).to_le_bytes());
    file.extend_from_slice(&[0; 12]);
    file.extend_from_slice(content);
    file.extend_from_slice(&[0; 16]);
    file
}

pub(crate) fn tnef(name: &str, content: &[u8]) -> Vec<u8> {
    let mut file = b"\x78\x9f\x3e\x22\x01\x00".to_vec();
    for (id, value) in
        [(0x0006_9002u32, &[0; 14][..]), (0x0001_8010, name.as_bytes()), (0x0006_800f, content)]
    {
        file.push(2);
        file.extend_from_slice(&id.to_le_bytes());
        file.extend_from_slice(&(value.len() as u32).to_le_bytes());
        file.extend_from_slice(value);
        file.extend_from_slice(&[0; 2]);
    }
    file
}

/// An OLE file with these streams; storages are made on the way.
pub(crate) fn ole(streams: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        let path = std::path::Path::new(path);
        file.create_storage_all(path.parent().unwrap()).unwrap();
        file.create_stream(path).unwrap().write_all(content).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

pub(crate) fn uuencoded(name: &str, content: &[u8]) -> Vec<u8> {
    let mut text = format!("begin 644 {name}\r\n");
    let letter = |value: u8| char::from(if value == 0 { b'`' } else { value + 32 });
    for line in content.chunks(45) {
        text.push(letter(line.len() as u8));
        for group in line.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|index| group.get(index).copied().unwrap_or(0));
            text.extend([a >> 2, a << 4 & 63 | b >> 4, b << 2 & 63 | c >> 6, c & 63].map(letter));
        }
        text.push_str("\r\n");
    }
    (text + "`\r\nend\r\n").into()
}
