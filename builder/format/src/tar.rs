//! Headers of tar archives that hold a disk.
//!
//! In: names and sizes, or the bytes of an archive. Out: headers of 512 bytes without time, owner or
//! group; or where members are. Formats: POSIX ustar (IEEE 1003.1, pax "ustar Interchange Format"), and
//! GNU's old format with sparse files (GNU tar manual, "Storing Sparse Files").

use std::io;

use mailkiln_bytes_at::ReadAt;

/// Bytes of a header, and what members are padded to.
pub(crate) const BLOCK: u64 = 512;

/// Where a header says what: name, mode, owner, group, size, time, checksum, type, magic.
const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;
/// In GNU's header of a sparse file: the first parts, whether there are more, and its real size.
const PARTS: usize = 386;
const MORE: usize = 482;
const REAL_SIZE: std::ops::Range<usize> = 483..495;

/// Bytes of a part's entry: offset and length, 12 digits each.
const PART: usize = 24;
/// Parts in the header, and in each block after it.
const FIRST_PARTS: usize = 4;
const LATER_PARTS: usize = 21;

/// Members that are looked at: ours have two or three.
const MOST_MEMBERS: usize = 16;

/// A plain file's header (ustar).
pub(crate) fn header(name: &str, size: u64) -> [u8; 512] {
    let mut header = blank(name, size, b'0');
    header[MAGIC].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    header
}

/// The header of a sparse file, with the blocks that continue it. `parts` are offset and length of
/// what is stored.
pub(crate) fn sparse_header(name: &str, size: u64, parts: &[(u64, u64)]) -> Vec<u8> {
    let stored = parts.iter().map(|(_, length)| length).sum();
    let mut header = blank(name, stored, b'S');
    header[MAGIC].copy_from_slice(b"ustar  \0");
    number(&mut header[REAL_SIZE], size);
    let (first, later) = parts.split_at(parts.len().min(FIRST_PARTS));
    table(&mut header[PARTS..], first);
    header[MORE] = u8::from(!later.is_empty());
    seal(&mut header);
    let mut out = header.to_vec();
    let mut blocks = later.chunks(LATER_PARTS).peekable();
    while let Some(parts) = blocks.next() {
        let mut block = [0; BLOCK as usize];
        table(&mut block, parts);
        block[LATER_PARTS * PART] = u8::from(blocks.peek().is_some());
        out.extend(block);
    }
    out
}

fn table(out: &mut [u8], parts: &[(u64, u64)]) {
    for ((offset, length), entry) in parts.iter().zip(out.chunks_mut(PART)) {
        number(&mut entry[..PART / 2], *offset);
        number(&mut entry[PART / 2..], *length);
    }
}

fn blank(name: &str, size: u64, kind: u8) -> [u8; 512] {
    let mut header = [0; 512];
    let name = &name.as_bytes()[..name.len().min(NAME.len())];
    header[..name.len()].copy_from_slice(name);
    header[MODE].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    number(&mut header[SIZE], size);
    header[136..148].copy_from_slice(b"00000000000\0");
    header[TYPE] = kind;
    header
}

/// Writes a number in octal, or where that is too short in binary, as GNU tar does.
fn number(out: &mut [u8], value: u64) {
    let digits = out.len() - 1;
    if value >> (3 * digits) == 0 {
        let text = format!("{value:0digits$o}\0");
        out.copy_from_slice(text.as_bytes());
    } else {
        out.fill(0);
        out[0] = 0x80;
        let at = out.len() - 8;
        out[at..].copy_from_slice(&value.to_be_bytes());
    }
}

fn seal(header: &mut [u8; 512]) {
    let text = format!("{:06o}\0 ", sum(header));
    header[SUM].copy_from_slice(text.as_bytes());
}

/// The sum of a header's bytes, its checksum taken as blanks.
fn sum(header: &[u8]) -> u32 {
    let count = |(at, &byte): (usize, &u8)| if SUM.contains(&at) { 32 } else { u32::from(byte) };
    header.iter().enumerate().map(count).sum()
}

/// A number of a foreign header.
fn parse(bytes: &[u8]) -> Option<u64> {
    if bytes.first()? & 0x80 != 0 {
        let (head, tail) = bytes.split_at(bytes.len().checked_sub(8)?);
        let is_small =
            head.iter().enumerate().all(|(at, &byte)| byte == if at == 0 { 0x80 } else { 0 });
        return is_small.then(|| tail.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.trim_matches([' ', '\0']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Where its bytes start.
    pub(crate) start: u64,
    /// How many are stored.
    pub(crate) size: u64,
}

/// What a header says: the member, as if its content came right after, and its type.
fn read(header: &[u8], at: u64) -> Option<(Member, u8)> {
    let known = header.len() == BLOCK as usize && header[MAGIC].starts_with(b"ustar");
    if !known || parse(&header[SUM]) != Some(u64::from(sum(header))) {
        return None;
    }
    let name = header[NAME].split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    Some((Member { name, start: at + BLOCK, size: parse(&header[SIZE])? }, header[TYPE]))
}

/// The name of the first member; `None` for what is not an archive.
pub(crate) fn first_name(file: &(impl ReadAt + ?Sized)) -> Option<String> {
    let header = file.read_vec_at(0, BLOCK as usize).ok()?;
    read(&header, 0).map(|(member, _)| member.name)
}

/// The members of an archive, at most the first few. Only plain files are understood.
pub(crate) fn members(file: &dyn ReadAt) -> io::Result<Vec<Member>> {
    let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut members = Vec::new();
    let mut at = 0;
    while members.len() < MOST_MEMBERS && at + BLOCK <= file.size() {
        let header = file.read_vec_at(at, BLOCK as usize)?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(members);
        }
        let (member, kind) =
            read(&header, at).ok_or_else(|| bad("a header of the archive is damaged"))?;
        if !matches!(kind, b'0' | 0) {
            return Err(bad("the archive holds something other than plain files"));
        }
        let end = member.start.checked_add(member.size).filter(|end| *end <= file.size());
        let end = end.ok_or_else(|| bad("the archive ends too early; get it again"))?;
        at = end.next_multiple_of(BLOCK);
        members.push(member);
    }
    Ok(members)
}

/// A sparse file, as its header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseFile {
    /// Its length, holes included.
    pub(crate) size: u64,
    /// Offset and length of what is stored, in order.
    pub(crate) parts: Vec<(u64, u64)>,
}

/// Reads the headers at the start of a stream whose first member is a disk, sparse or not.
pub(crate) fn read_sparse(input: &mut dyn io::Read, most_parts: usize) -> io::Result<SparseFile> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut header = [0; BLOCK as usize];
    input.read_exact(&mut header)?;
    let (member, kind) = read(&header, 0).ok_or_else(|| bad("the archive's header is damaged"))?;
    if matches!(kind, b'0' | 0) {
        return Ok(SparseFile { size: member.size, parts: vec![(0, member.size)] });
    }
    let size = parse(&header[REAL_SIZE]).filter(|_| kind == b'S');
    let size = size.ok_or_else(|| bad("the archive's first member is not a file of GNU tar"))?;
    let mut parts = Vec::new();
    let mut add = |table: &[u8]| {
        for entry in table.chunks_exact(PART).filter(|entry| entry[0] != 0) {
            let part = parse(&entry[..PART / 2]).zip(parse(&entry[PART / 2..]));
            let (offset, length) = part.ok_or_else(|| bad("a number in the archive is damaged"))?;
            let begin = parts.last().map_or(0, |(offset, length): &(u64, u64)| offset + length);
            let end = offset.checked_add(length).filter(|end| offset >= begin && *end <= size);
            end.ok_or_else(|| bad("the parts of the sparse file are not in order"))?;
            if parts.len() == most_parts {
                return Err(bad("the sparse file has too many parts"));
            }
            parts.push((offset, length));
        }
        Ok(())
    };
    add(&header[PARTS..PARTS + FIRST_PARTS * PART])?;
    let mut more = header[MORE] != 0;
    let mut blocks = 0;
    while more {
        blocks += 1;
        if blocks > most_parts {
            return Err(bad("the sparse file has too many parts"));
        }
        input.read_exact(&mut header)?;
        add(&header[..LATER_PARTS * PART])?;
        more = header[LATER_PARTS * PART] != 0;
    }
    Ok(SparseFile { size, parts })
}
