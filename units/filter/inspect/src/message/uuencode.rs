//! Files written into plain text by uuencode (POSIX): mail programs show them as attachments.

/// One line holds 45 bytes; programs read longer ones, as long as the first character can say.
const LONGEST_LINE: usize = 63;

/// Every uuencoded file in `text`, with its name. A file without `end` counts with what is there.
pub(crate) fn uuencoded(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    if memchr::memmem::find(text, b"begin ").is_none() {
        return files;
    }
    let mut open = false;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if open {
            match (line, decode_line(line), files.last_mut()) {
                (b"end", ..) => open = false,
                (_, Some(bytes), Some((_, content))) => content.extend_from_slice(&bytes),
                _ => open = false,
            }
        } else if let Some(name) = begin(line) {
            files.push((name, Vec::new()));
            open = true;
        }
    }
    files.retain(|(_, content)| !content.is_empty());
    files
}

fn begin(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"begin ")?;
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let (mode, name) = rest.split_at(space);
    let is_mode =
        (1..=8).contains(&mode.len()) && mode.iter().all(|byte| (b'0'..b'8').contains(byte));
    is_mode.then(|| String::from_utf8_lossy(name).trim().to_owned())
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
