//! Changes of a message: marks in its header, and parts that are taken out.

pub mod marks;
pub mod strip;

use std::ops::Range;

/// Where the header ends and the body begins, in bytes: behind the first empty line.
pub fn body_start(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return at;
        }
    }
    message.len()
}

/// The fields of a header: the name as it is written, up to the colon, and the bytes of the whole
/// field with its continuation lines. Lines that are no field are left out.
pub fn fields(header: &[u8]) -> Vec<(&[u8], Range<usize>)> {
    let mut fields: Vec<(&[u8], Range<usize>)> = Vec::new();
    let mut at = 0;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let range = at..at + line.len();
        at = range.end;
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some((_, whole)) = fields.last_mut() {
                whole.end = range.end;
            }
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            fields.push((line.get(..colon).unwrap_or_default(), range));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_and_fields_are_found() {
        let message = b"A: 1\r\nB : 2\r\n 3\r\nnonsense\r\nC:\n\r\nD: 4\r\n";
        let end = body_start(message);
        assert_eq!(&message[end..], b"D: 4\r\n");
        let found: Vec<(&[u8], &[u8])> =
            fields(&message[..end]).into_iter().map(|(name, at)| (name, &message[at])).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"A", b"A: 1\r\n"), (b"B ", b"B : 2\r\n 3\r\n"), (b"C", b"C:\n")];
        assert_eq!(found, expected);
        assert_eq!(body_start(b"A: 1\r\n"), 6);
    }
}
