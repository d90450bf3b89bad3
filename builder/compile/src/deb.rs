//! A `.deb` opened as far as its files: the `data.tar` member, decompressed while it is read.
//!
//! In: a path. Out: a tar stream. Format: deb(5). Control data is not looked at, scripts are not
//! run; who the package is was settled by its digest.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::unpack::UnpackError;

/// Reads the file archive of the package at `path` with `read`.
pub(crate) fn read_data<T>(
    path: &Path,
    read: impl FnOnce(&mut dyn Read) -> Result<T, UnpackError>,
) -> Result<T, UnpackError> {
    let mut archive = ar::Archive::new(io::BufReader::new(File::open(path)?));
    while let Some(member) = archive.next_entry() {
        let mut member = member?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        let name = name.trim_end_matches('/');
        return match name.strip_prefix("data.tar") {
            None => continue,
            Some("") => read(&mut member),
            Some(".gz") => read(&mut flate2::read::GzDecoder::new(member)),
            Some(".xz") => read(&mut liblzma::read::XzDecoder::new(member)),
            Some(".zst") => read(&mut zstd::stream::read::Decoder::new(member)?),
            Some(other) => {
                let what = format!("its files are compressed as `{}`", other.escape_debug());
                Err(io::Error::new(io::ErrorKind::Unsupported, what).into())
            }
        };
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it has no data.tar").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deb(member: &str, content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = ar::Builder::new(file.as_file_mut());
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), (member, content)] {
            let header = ar::Header::new(name.into(), bytes.len() as u64);
            builder.append(&header, bytes).unwrap();
        }
        file
    }

    fn read_all(file: &tempfile::NamedTempFile) -> Result<Vec<u8>, UnpackError> {
        read_data(file.path(), |data| {
            let mut bytes = Vec::new();
            data.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    #[test]
    fn each_compression_is_read_and_damage_is_an_error() {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(b"files").unwrap();
        let xz = xz.finish().unwrap();
        let zst = zstd::encode_all(&b"files"[..], 1).unwrap();
        for (member, content) in
            [("data.tar", &b"files"[..]), ("data.tar.xz", &xz), ("data.tar.zst", &zst)]
        {
            assert_eq!(read_all(&deb(member, content)).unwrap(), b"files", "{member}");
        }
        let cut = &xz[..xz.len() / 2];
        for (member, content) in [
            ("data.tar.xz", cut),
            ("data.tar.bz2", b""),
            ("control.tar", b""),
            ("data.tar.zst", b"x"),
        ] {
            assert!(read_all(&deb(member, content)).is_err(), "{member}");
        }
    }
}
