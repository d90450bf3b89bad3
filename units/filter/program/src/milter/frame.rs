//! Packets of the milter protocol: a big-endian length, one byte that says what it is, data.
//!
//! In: bytes of a connection. Out: [`Frame`]s, none larger than [`MOST_BYTES`].

use std::io::{self, Read, Write};

/// Longest packet that is read: `MILTER_CHUNK_SIZE` is 65535, an envelope line at most a few
/// thousand bytes.
pub const MOST_BYTES: u32 = 1 << 17;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command or reply, `SMFIC_*` or `SMFIR_*`.
    pub code: u8,
    /// What belongs to it.
    pub data: Vec<u8>,
}

/// Why there is no packet.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection broke or fell silent.
    #[error("the mail server's connection broke: {0}")]
    Connection(#[from] io::Error),
    /// Too long, or without a command.
    #[error("a packet of {0} bytes, 1 to {MOST_BYTES} are possible: this is no mail server")]
    Length(u32),
}

/// Reads one packet; `None` when the peer has hung up between two.
///
/// # Errors
/// [`FrameError`] when the connection ends inside a packet, or its length makes no sense.
pub fn read(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match from.read(length.get_mut(have..).unwrap_or_default()) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = u32::from_be_bytes(length);
    if length == 0 || length > MOST_BYTES {
        return Err(FrameError::Length(length));
    }
    let mut code = [0];
    from.read_exact(&mut code)?;
    let mut data = vec![0; length as usize - 1];
    from.read_exact(&mut data)?;
    Ok(Some(Frame { code: code[0], data }))
}

/// Writes one packet.
///
/// # Errors
/// What the connection says; `InvalidInput` when the data is longer than a length can say.
pub fn write(to: &mut impl Write, code: u8, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len() + 1).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&[code])?;
    to.write_all(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        write(&mut bytes, b'E', b"").unwrap();
        write(&mut bytes, b'B', b"abc").unwrap();
        assert_eq!(bytes, b"\0\0\0\x01E\0\0\0\x04Babc");
        let mut from = bytes.as_slice();
        assert_eq!(read(&mut from).unwrap(), Some(Frame { code: b'E', data: vec![] }));
        assert_eq!(read(&mut from).unwrap(), Some(Frame { code: b'B', data: b"abc".to_vec() }));
        assert_eq!(read(&mut from).unwrap(), None);
    }

    #[test]
    fn halves_and_nonsense_are_errors() {
        for bytes in [&b"\0"[..], b"\0\0\0\x04Ba", b"\0\0\0\0", b"\xff\xff\xff\xffB"] {
            assert!(read(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }
}
