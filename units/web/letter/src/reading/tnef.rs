//! `winmail.dat`: Outlook's own container (MS-OXTNEF). Files, the name of each, and the plain body.
//!
//! Rich text inside is not shown; the page says so. Every length is checked against what is left, every
//! step moves on, and what comes out is never larger than what came in.

/// The first four bytes (MS-OXTNEF, section 2.1.3.1).
const SIGNATURE: u32 = 0x223e_9f78;
/// Files and properties that are read.
const FILE_LIMIT: usize = 500;
const PROPERTY_LIMIT: u32 = 2000;

// Attributes (section 2.1.3.3), without their types.
const BODY: u16 = 0x800c;
const ATTACH_DATA: u16 = 0x800f;
const ATTACH_TITLE: u16 = 0x8010;
const ATTACH_REND_DATA: u16 = 0x9002;
const MESSAGE_PROPERTIES: u16 = 0x9003;
const ATTACH_PROPERTIES: u16 = 0x9005;

// Properties (MS-OXPROPS).
const PR_BODY: u16 = 0x1000;
const PR_RTF_COMPRESSED: u16 = 0x1009;
const PR_BODY_HTML: u16 = 0x1013;
const PR_ATTACH_DATA: u16 = 0x3701;
const PR_ATTACH_LONG_NAME: u16 = 0x3707;

/// A file in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TnefFile {
    /// Its name as written; make it safe before use.
    pub name: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What the container holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tnef {
    /// Files in order.
    pub files: Vec<TnefFile>,
    /// The plain body, if there is one.
    pub text: Option<String>,
    /// The HTML body, if there is one.
    pub html: Option<String>,
    /// Whether there is a body that only Outlook can read.
    pub has_rich_text: bool,
    /// Whether it ends in the middle or is not what it says.
    pub is_broken: bool,
}

/// Reads a container. What can't be read is left out, and said.
pub fn read_tnef(bytes: &[u8]) -> Tnef {
    let mut out = Tnef::default();
    let mut reader = Reader { bytes };
    if reader.u32() != Some(SIGNATURE) || reader.u16().is_none() {
        out.is_broken = true;
        return out;
    }
    while !reader.bytes.is_empty() {
        let Some((id, data)) = attribute(&mut reader) else {
            out.is_broken = true;
            break;
        };
        match id {
            ATTACH_REND_DATA if out.files.len() >= FILE_LIMIT => break,
            ATTACH_REND_DATA => out.files.push(TnefFile::default()),
            ATTACH_DATA => {
                if let Some(file) = out.files.last_mut() {
                    file.data = data.to_vec();
                }
            }
            ATTACH_TITLE => {
                if let Some(file) = out.files.last_mut()
                    && file.name.is_empty()
                {
                    file.name = narrow(data);
                }
            }
            BODY => out.text = Some(narrow(data)),
            MESSAGE_PROPERTIES => message_properties(&mut out, data),
            ATTACH_PROPERTIES => {
                if let Some(file) = out.files.last_mut() {
                    file_properties(file, data);
                }
            }
            _ => {}
        }
    }
    out
}

/// Level, id, type, length, data, checksum (section 2.1.3.2).
fn attribute<'a>(reader: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    reader.take(1)?;
    let id = reader.u16()?;
    reader.u16()?;
    let length = reader.u32()?;
    let data = reader.take(usize::try_from(length).ok()?)?;
    reader.u16()?;
    Some((id, data))
}

fn message_properties(out: &mut Tnef, data: &[u8]) {
    for (id, wide, value) in properties(data) {
        match id {
            PR_BODY => out.text = Some(string(value, wide)),
            PR_BODY_HTML => out.html = Some(string(value, wide)),
            PR_RTF_COMPRESSED => out.has_rich_text = true,
            _ => {}
        }
    }
}

fn file_properties(file: &mut TnefFile, data: &[u8]) {
    for (id, wide, value) in properties(data) {
        match id {
            PR_ATTACH_LONG_NAME => file.name = string(value, wide),
            PR_ATTACH_DATA if file.data.is_empty() => file.data = value.to_vec(),
            _ => {}
        }
    }
}

/// The properties with a value of bytes: id, whether it is UTF-16, value (section 2.1.3.4).
fn properties(data: &[u8]) -> Vec<(u16, bool, &[u8])> {
    let mut reader = Reader { bytes: data };
    let mut out = Vec::new();
    let count = reader.u32().unwrap_or_default().min(PROPERTY_LIMIT);
    for _ in 0..count {
        if property(&mut reader, &mut out).is_none() {
            break;
        }
    }
    out
}

fn property<'a>(reader: &mut Reader<'a>, out: &mut Vec<(u16, bool, &'a [u8])>) -> Option<()> {
    let kind = reader.u16()?;
    let id = reader.u16()?;
    if id >= 0x8000 {
        reader.take(16)?;
        if reader.u32()? == 0 {
            reader.u32()?;
        } else {
            let length = reader.u32()?;
            reader.padded(length)?;
        }
    }
    let many = kind & 0x1000 != 0;
    match kind & 0x0fff {
        // Numbers, booleans, times: 4 or 8 bytes.
        base @ (0x02 | 0x03 | 0x04 | 0x0a | 0x0b | 0x05 | 0x06 | 0x07 | 0x14 | 0x40 | 0x48) => {
            let size: u32 = match base {
                0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
                0x48 => 16,
                _ => 4,
            };
            let count = if many { reader.u32()? } else { 1 };
            reader.take(usize::try_from(count.checked_mul(size)?).ok()?)?;
        }
        // Objects, strings, binary: a count, then each with its length.
        base @ (0x0d | 0x1e | 0x1f | 0x102) => {
            let count = reader.u32()?.min(PROPERTY_LIMIT);
            for _ in 0..count {
                let length = reader.u32()?;
                out.push((id, base == 0x1f, reader.padded(length)?));
            }
        }
        _ => return None,
    }
    Some(())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// Bytes that fill up to a multiple of four.
    fn padded(&mut self, length: u32) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let taken = self.take(length)?;
        let padding = length.next_multiple_of(4) - length;
        self.take(padding.min(self.bytes.len()))?;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
    }
}

fn string(bytes: &[u8], wide: bool) -> String {
    if !wide {
        return narrow(bytes);
    }
    let units: Vec<u16> =
        bytes.as_chunks::<2>().0.iter().map(|two| u16::from_le_bytes(*two)).collect();
    String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned()
}

/// A string in the code page of the sender, which the container names nowhere that can be believed.
fn narrow(bytes: &[u8]) -> String {
    let bytes = bytes.split(|one| *one == 0).next().unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => super::letter::western(bytes),
    }
}
