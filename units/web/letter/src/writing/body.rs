//! Bodies as lines that any server passes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Base64 in lines of 76 (RFC 2045, section 6.8).
pub(super) fn base64_lines(out: &mut Vec<u8>, bytes: &[u8]) {
    for line in bytes.chunks(57) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Text with CRLF at the end of each line, no NUL and no bare CR.
pub(super) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 40);
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    for line in text.split_terminator('\n') {
        out.push_str(line);
        out.push_str("\r\n");
    }
    out
}

/// Whether text can go as it is: ASCII, lines of at most 76, no end of line that would be lost, nothing
/// that looks like a boundary of ours.
pub(super) fn is_plain(text: &str) -> bool {
    text.is_ascii()
        && !text.contains("=_mk_")
        && text.split("\r\n").all(|line| {
            line.len() <= 78
                && !line.starts_with("From ")
                && !line.starts_with('.')
                && line.bytes().all(|one| one == b'\t' || (b' '..=b'~').contains(&one))
        })
}

/// Quoted-printable (RFC 2045, section 6.7) of text with CRLF line ends.
pub(super) fn quoted_printable(out: &mut Vec<u8>, text: &str) {
    for line in text.split_terminator("\r\n") {
        let mut column = 0;
        let bytes = line.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            let literal = match byte {
                b'=' => false,
                b' ' | b'\t' => !last,
                // A dot or `From ` at the start is changed by servers on the way.
                b'.' | b'F' => column > 0,
                b'!'..=b'~' => true,
                _ => false,
            };
            let width = if literal { 1 } else { 3 };
            if column + width > 75 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            // The start of a soft line is a start too.
            let literal = literal && !(column == 0 && matches!(byte, b'.' | b'F'));
            if literal {
                out.push(*byte);
                column += 1;
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
                column += 3;
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}
