//! Digests of files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ring::digest::{Context, SHA256};

use crate::error::UploadError;
use crate::parts::hex;

/// SHA-256 of a file in hexadecimal.
///
/// # Errors
/// [`UploadError::File`].
pub fn sha256(path: &Path) -> Result<String, UploadError> {
    let mut file = File::open(path).map_err(UploadError::file("read", path))?;
    let (mut digest, mut buffer) = (Context::new(&SHA256), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(UploadError::file("read", path))? {
            0 => return Ok(hex(digest.finish().as_ref())),
            count => digest.update(&buffer[..count]),
        }
    }
}
