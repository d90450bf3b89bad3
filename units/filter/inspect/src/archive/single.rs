//! Files compressed one by one: gzip (RFC 1952), bzip2, xz, lzma, zstd (RFC 8878).

use std::io::{Cursor, Read};

use crate::kind::Kind;
use crate::limits::Stop;
use crate::name::Name;
use crate::walk::{Walk, Within};

/// What a decoder may hold as its window. xz's strongest preset uses 64 MiB.
const WINDOW: u32 = 65 << 20;

/// Opens one compressed file.
pub(crate) fn walk(walk: &mut Walk<'_>, kind: Kind, outer: Option<&str>, data: &[u8]) {
    let size = data.len() as u64;
    // Some tools take the stored name, some the file's own.
    let mut inner: Vec<String> = outer.map(stem).into_iter().collect();
    let (content, stop) = match kind {
        Kind::Gzip => {
            let decoder = flate2::read::MultiGzDecoder::new(data);
            let stored = decoder.header().and_then(|header| header.filename());
            let stored = stored.map(|name| String::from_utf8_lossy(name).into_owned());
            inner.splice(0..0, stored);
            inner.dedup();
            let (content, stop) = walk.budget.unpack(decoder, size);
            // What follows a whole member is ignored by every tool.
            let is_rest = !content.is_empty() && matches!(stop, Some(Stop::Unseen(_)));
            (content, stop.filter(|_| !is_rest))
        }
        Kind::Bzip2 => walk.budget.unpack(bzip2::read::MultiBzDecoder::new(data), size),
        Kind::Xz => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(data, true, WINDOW >> 10);
            walk.budget.unpack(decoder, size)
        }
        Kind::Zstd => match zstd(Cursor::new(data)) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(error) => (Vec::new(), Some(Stop::Unseen(error))),
        },
        _ => match lzma_rust2::LzmaReader::new_mem_limit(data, WINDOW >> 10, None) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(error) => (Vec::new(), Some(Stop::Unseen(error.to_string()))),
        },
    };
    let names: Vec<&str> = inner.iter().map(String::as_str).collect();
    walk.member(&names, &content, stop, Within::Files);
}

/// What a tool would call the unpacked file.
fn stem(outer: &str) -> String {
    let name = Name::new(outer);
    let stem = name.file.rsplit_once('.').map_or(name.file.as_str(), |(stem, _)| stem);
    match name.extension.as_str() {
        "tgz" | "taz" | "tbz" | "tbz2" | "txz" | "tlz" | "tzst" => format!("{stem}.tar"),
        "svgz" => format!("{stem}.svg"),
        "gz" | "gzip" | "z" | "bz2" | "bz" | "bzip2" | "xz" | "lzma" | "zst" | "zstd" => {
            stem.to_owned()
        }
        _ => name.file.clone(),
    }
}

/// All frames of a zstd file, one after the other.
pub(crate) fn zstd<'a>(source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, String> {
    let reader =
        ruzstd::decoding::StreamingDecoder::new_with_max_window_size(source, WINDOW.into());
    reader.map(|reader| Box::new(reader) as Box<dyn Read>).map_err(|error| error.to_string())
}

/// LZMA inside zip (APPNOTE 5.8.8): version, length of properties, properties, data.
pub(crate) fn zip_lzma<'a>(mut source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, String> {
    let mut header = [0; 9];
    source.read_exact(&mut header).map_err(|error| error.to_string())?;
    let [_, _, 5, 0, properties, dictionary @ ..] = header else {
        return Err("its LZMA properties have an unknown length".to_owned());
    };
    let dictionary = u32::from_le_bytes(dictionary).min(WINDOW);
    lzma_rust2::LzmaReader::new_with_props(source, u64::MAX, properties, dictionary, None)
        .map(|reader| Box::new(reader) as Box<dyn Read>)
        .map_err(|error| error.to_string())
}
