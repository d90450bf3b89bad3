//! Files written into plain text by uuencode (POSIX): mail programs show them as attachments.

/// One line holds 45 bytes; programs read longer ones, as long as the first character can say.
const LONGEST_LINE: usize = 63;

/// How a file is written into the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Uuencode,
    /// `begin-base64`, POSIX's other form.
    Base64,
}

/// Every uuencoded file in `text`, with its name. A file without `end` counts with what is there.
pub(crate) fn uuencoded(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    if memchr::memmem::find(text, b"begin").is_none() {
        return files;
    }
    let mut open = None;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
        let Some(code) = open else {
            if let Some((code, name)) = begin(line) {
                files.push((name, Vec::new()));
                open = Some(code);
            }
            continue;
        };
        let bytes = match code {
            Code::Uuencode if line != b"end" => decode_line(line),
            Code::Base64 if !line.starts_with(b"====") => Some(super::base64(line)),
            _ => None,
        };
        match (bytes, files.last_mut()) {
            (Some(bytes), Some((_, content))) => content.extend_from_slice(&bytes),
            _ => open = None,
        }
    }
    files.retain(|(_, content)| !content.is_empty());
    files
}

/// The name in a line that begins a file: blanks and quotes around it are not part of it.
fn begin(line: &[u8]) -> Option<(Code, String)> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (code, rest) = match line.strip_prefix(b"begin-base64") {
        Some(rest) => (Code::Base64, rest),
        None => (Code::Uuencode, line.strip_prefix(b"begin")?),
    };
    let rest = rest.first().filter(|byte| is_blank(byte)).map(|_| rest.trim_ascii_start())?;
    let space = rest.iter().position(is_blank)?;
    let (mode, name) = rest.split_at(space);
    let is_mode =
        (1..=8).contains(&mode.len()) && mode.iter().all(|byte| (b'0'..b'8').contains(byte));
    let name = String::from_utf8_lossy(name);
    is_mode.then(|| (code, name.trim().trim_matches('"').to_owned()))
}

fn decode_line(line: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: &u8| (b' '..=b'`').contains(byte).then(|| (byte - b' ') & 0x3f);
    let (first, groups) = line.split_first()?;
    let length = usize::from(value(first)?);
    if length > LONGEST_LINE {
        return None;
    }
    let mut bytes = Vec::with_capacity(length + 3);
    for group in groups.chunks(4) {
        // Spaces at the end of a line get lost on the way.
        let mut four = [0; 4];
        for (slot, byte) in four.iter_mut().zip(group) {
            *slot = value(byte)?;
        }
        let [a, b, c, d] = four;
        bytes.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
    bytes.resize(length, 0);
    Some(bytes)
}
