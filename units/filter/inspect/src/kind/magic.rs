//! The first bytes of files, the bytes at other places that programs look for, and what text says.

use super::{Kind, Wrapping};

/// The end record of a zip archive (APPNOTE 4.3.16).
pub(crate) const ZIP_END: &[u8] = b"PK\x05\x06";

/// What the first bytes say, or where they say nothing, the text.
pub(super) fn first(data: &[u8]) -> Kind {
    let starts = |magic: &[u8]| data.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| {
        data.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    for (magic, kind) in MAGICS {
        if starts(magic) {
            return *kind;
        }
    }
    if starts(b"MZ") || starts(b"ZM") {
        return mz(data);
    }
    if starts(&[0xca, 0xfe, 0xba, 0xbe]) {
        // A fat Mach-O counts its architectures where a Java class has its version, 45 and up.
        return Kind::Program(if at(4, &[0, 0, 0]) && data.get(7) < Some(&40) {
            "macOS"
        } else {
            "Java"
        });
    }
    if is_tar(data) {
        return Kind::Tar;
    }
    if has_disc(data) {
        return Kind::Iso;
    }
    // LHA: the method stands between hyphens after the header's length and sum.
    if let Some([b'-', b'l' | b'p', b'h' | b'z' | b'm', _, b'-']) = data.get(2..7) {
        return Kind::Opaque("an LHA archive");
    }
    if at(7, b"**ACE**") {
        return Kind::Opaque("an ACE archive");
    }
    if let Some(what) = file_system(data) {
        return Kind::Opaque(what);
    }
    if is_mac_binary(data) {
        return Kind::Wrapped(Wrapping::MacBinary);
    }
    if is_cms(data) {
        return Kind::Cms;
    }
    if starts(&[0x5d, 0, 0]) && data.len() > 13 && matches!(data.get(12), Some(0 | 0xff)) {
        return Kind::Lzma;
    }
    if memchr::memmem::find(data.get(..64 << 10).unwrap_or(data), b"PK\x03\x04").is_some()
        && has_zip(data)
    {
        return Kind::Zip;
    }
    Head::new(data).first(data)
}

/// The first bytes of files that begin with what they are.
const MAGICS: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK00PK\x03\x04", Kind::Zip),
    (b"%PDF-", Kind::Pdf),
    (b"070701", Kind::Cpio),
    (b"070702", Kind::Cpio),
    (b"070707", Kind::Cpio),
    (b"\xc7\x71", Kind::Cpio),
    (b"\x71\xc7", Kind::Cpio),
    (b"ActiveMime", Kind::ActiveMime),
    (b"\0\x05\x16\0", Kind::Wrapped(Wrapping::AppleDouble)),
    (b"\0\x05\x16\x07", Kind::Wrapped(Wrapping::AppleDouble)),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"Rar!\x1a\x07", Kind::Rar),
    (b"RE~^", Kind::Rar),
    (b"\x1f\x8b", Kind::Gzip),
    (b"BZh", Kind::Bzip2),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"LZIP", Kind::Opaque("an lzip file")),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"MSCF", Kind::Cab),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
    (b"{\\rt", Kind::Rtf),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", Kind::OneNote),
    (b"\x78\x9f\x3e\x22", Kind::Tnef),
    (b"\x7fELF", Kind::Program("Linux")),
    (b"\xfe\xed\xfa\xce", Kind::Program("macOS")),
    (b"\xfe\xed\xfa\xcf", Kind::Program("macOS")),
    (b"\xce\xfa\xed\xfe", Kind::Program("macOS")),
    (b"\xcf\xfa\xed\xfe", Kind::Program("macOS")),
    (b"dex\n03", Kind::Program("Android")),
    (b"ITSF", Kind::Program("Windows help")),
    (b"!<arch>\ndebian", Kind::Program("Debian package")),
    (b"!<arch>\n", Kind::Ar),
    (b"\xed\xab\xee\xdb", Kind::Program("RPM package")),
    (b"xar!", Kind::Program("macOS package")),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", Kind::Shortcut("Windows")),
    (b"#@~^", Kind::Script("encoded")),
    (b"vhdxfile", Kind::Opaque("a virtual disk")),
    (b"KDMV", Kind::Opaque("a virtual disk")),
    (b"MSWIM\0\0\0", Kind::Opaque("a Windows image")),
    (b"\x60\xea", Kind::Opaque("an ARJ archive")),
    (b"\x1f\x9d", Kind::Opaque("a compress file")),
    (b"\x1f\xa0", Kind::Opaque("a compress file")),
    (b"EGGA", Kind::Opaque("an EGG archive")),
    (b"ALZ\x01", Kind::Opaque("an ALZ archive")),
    (b"SQSH", Kind::Opaque("a file system")),
    (b"hsqs", Kind::Opaque("a file system")),
    (b"conectix", Kind::Opaque("a virtual disk")),
    (b"QFI\xfb", Kind::Opaque("a virtual disk")),
    (b"\x89LZO\0", Kind::Opaque("an lzop file")),
    (b"\x04\x22\x4d\x18", Kind::Opaque("an LZ4 file")),
    (b"\xff\x06\0\0sNaPpY", Kind::Opaque("a Snappy file")),
    (b"StuffIt", Kind::Opaque("a StuffIt archive")),
    (b"SIT!", Kind::Opaque("a StuffIt archive")),
    (b"ZOO ", Kind::Opaque("a ZOO archive")),
    (b"SZDD", Kind::Opaque("a compressed file of Windows")),
    (b"KWAJ", Kind::Opaque("a compressed file of Windows")),
    (b"!BDN", Kind::Opaque("an Outlook data file")),
    (b"\xd2\x0a\x36", Kind::Opaque("an encrypted disk")),
    (b"LUKS\xba\xbe", Kind::Opaque("an encrypted disk")),
];

fn mz(data: &[u8]) -> Kind {
    let offset =
        data.get(60..64).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    let header = usize::try_from(offset).ok().and_then(|offset| data.get(offset..));
    match header {
        Some([b'P', b'E', 0, 0, ..]) => Kind::Program("Windows"),
        Some([b'N' | b'L', b'E' | b'X', ..]) => Kind::Program("Windows 3"),
        // Text that begins with these letters has none of the zeros of a program's header.
        _ if data
            .get(..64)
            .is_some_and(|head| head.iter().filter(|byte| **byte == 0).count() > 8) =>
        {
            Kind::Program("DOS")
        }
        _ => Head::new(data).first(data),
    }
}

/// Tar before POSIX has no magic, but a checksum of its header.
fn is_old_tar(data: &[u8]) -> bool {
    let Some(header) = data.get(..512) else { return false };
    header.first() != Some(&0) && crate::archive::tar::is_header(header)
}

/// Whether a tar's header stands at the beginning, or in one of the blocks after it that GNU tar
/// would skip to.
pub(super) fn is_tar(data: &[u8]) -> bool {
    /// Whoever wants to be opened by a click puts no more in front.
    const BLOCKS: usize = 64;
    data.get(257..).is_some_and(|rest| rest.starts_with(b"ustar"))
        || is_old_tar(data)
        || data.chunks_exact(512).take(BLOCKS).skip(1).any(|block| {
            block.get(257..262) == Some(b"ustar") && crate::archive::tar::is_header(block)
        })
}

/// Whether programs that look from the end would find a zip archive: an end record, and before
/// it a directory or nothing; or a member that begins like one.
pub(super) fn has_zip(data: &[u8]) -> bool {
    if memchr::memmem::rfind(data, ZIP_END).is_some() {
        return memchr::memmem::find(data, b"PK\x01\x02").is_some() || data.starts_with(ZIP_END);
    }
    // One whose directory is lost: a local header with a name that is not absurdly long, close
    // enough to the beginning that something repairs it.
    let head = data.get(..64 << 10).unwrap_or(data);
    let header = memchr::memmem::find(head, b"PK\x03\x04").and_then(|at| head.get(at..at + 30));
    header.is_some_and(|header| {
        let number = |at: usize| header.get(at).copied().unwrap_or_default();
        let name = u16::from_le_bytes([number(26), number(27)]);
        number(4) <= 63 && matches!(number(8), 0..=20 | 93..=99) && (1..512).contains(&name)
    })
}

/// Volume descriptors of ISO 9660 or UDF (ECMA-167, 2/9.1), in sectors of 2048 bytes.
pub(super) fn has_disc(data: &[u8]) -> bool {
    (16usize..40).any(|sector| {
        let id = data.get(sector * 2048 + 1..sector * 2048 + 6);
        matches!(id, Some(b"CD001" | b"NSR02" | b"NSR03" | b"BEA01"))
    })
}

/// PDF readers take a header within the first kilobyte (ISO 32000-1, annex H.3).
pub(super) fn has_pdf(data: &[u8]) -> bool {
    memchr::memmem::find(data.get(..1100).unwrap_or(data), b"%PDF").is_some()
}

/// Where a cabinet begins: programs search for it ([MS-CAB] 2.1, version 1.3).
pub(super) fn cabinet(data: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(data, b"MSCF").find(|at| {
        data.get(at + 24..at + 26) == Some(&[3, 1])
            && data.get(at + 16..at + 20).is_some_and(|offset| offset[2..] == [0, 0])
    })
}

/// Disks without partitions, or with some: what their first sectors say.
pub(super) fn file_system(data: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| {
        data.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    let is_disk = at(510, &[0x55, 0xaa]);
    if is_disk && (at(54, b"FAT") || at(82, b"FAT") || matches!(data.first(), Some(0xeb | 0xe9))) {
        return Some("a FAT file system");
    }
    if at(3, b"NTFS    ") || at(3, b"EXFAT   ") {
        return Some("a Windows file system");
    }
    if at(512, b"EFI PART") || is_disk && data.get(446..510).is_some_and(is_partitions) {
        return Some("a disk with partitions");
    }
    if at(1080, &[0x53, 0xef]) && data.len() > 2048 {
        return Some("an ext file system");
    }
    if at(1024, b"H+\0\x04") || at(1024, b"HX\0\x05") || at(32, b"NXSB") {
        return Some("a macOS file system");
    }
    let end = data.len().checked_sub(512).and_then(|at| data.get(at..));
    match end {
        Some([b'c', b'o', b'n', b'e', b'c', b't', b'i', b'x', ..]) => Some("a virtual disk"),
        Some([b'k', b'o', b'l', b'y', ..]) => Some("a macOS disk image"),
        _ => None,
    }
}

/// A partition table: four entries, whose first byte is active or not, one of them used.
fn is_partitions(table: &[u8]) -> bool {
    let mut entries = table.chunks(16);
    entries.all(|entry| matches!(entry.first(), Some(0 | 0x80)))
        && table.chunks(16).any(|entry| entry.get(4).is_some_and(|kind| *kind != 0))
}

/// MacBinary: a zero, a name's length, the name, and zeros at two fixed places.
fn is_mac_binary(data: &[u8]) -> bool {
    let byte = |at: usize| data.get(at).copied().unwrap_or(1);
    let number = |at: usize| {
        data.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    let name = data.get(2..2 + usize::from(byte(1).min(63))).unwrap_or_default();
    byte(0) == 0
        && (1..64).contains(&byte(1))
        && byte(74) == 0
        && byte(82) == 0
        && name.iter().all(|byte| *byte >= b' ')
        && (1..0x7f_ffff).contains(&number(83))
        && (number(83) as usize) + 128 <= data.len()
}

/// DER or BER of a ContentInfo whose type is in PKCS #7's arc (RFC 5652, 3).
pub(super) fn is_cms(data: &[u8]) -> bool {
    const ARC: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
    data.first() == Some(&0x30)
        && memchr::memmem::find(data.get(..24).unwrap_or(data), ARC).is_some()
}

/// A packet of OpenPGP (RFC 9580, 4.2) that holds something encrypted, packed or signed.
pub(super) fn is_pgp_packet(data: &[u8]) -> bool {
    data.first().is_some_and(|tag| tag & 0x80 != 0)
}

/// Where a web archive (MHTML) begins: Word finds its header after other things.
pub(super) fn web_archive(data: &[u8]) -> Option<usize> {
    let head = data.get(..1 << 20).unwrap_or(data);
    let finder =
        |line: &[u8]| line.get(..13).is_some_and(|it| it.eq_ignore_ascii_case(b"mime-version:"));
    let mut at = 0;
    for line in head.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if finder(line) {
            let rest = data.get(at..).unwrap_or_default();
            let near = rest.get(..4096).unwrap_or(rest).to_ascii_lowercase();
            if memchr::memmem::find(&near, b"content-type:").is_some() {
                return Some(at);
            }
        }
        at += line.len();
    }
    None
}

/// The beginning of a text, in lower case.
pub(super) struct Head(String);

impl Head {
    pub(super) fn new(data: &[u8]) -> Head {
        Head(plain(data.get(..16 << 10).unwrap_or(data)))
    }

    fn first(&self, data: &[u8]) -> Kind {
        let head = self.0.as_str();
        let trimmed = head.trim_start_matches(is_blank);
        let tagged = |tag: &str| {
            trimmed.strip_prefix(tag).is_some_and(|rest| {
                rest.starts_with(|it: char| it.is_whitespace() || matches!(it, '>' | '/'))
            })
        };
        if trimmed.starts_with("{\\rt") {
            return Kind::Rtf;
        }
        if trimmed.starts_with("#!") {
            return Kind::Script("shebang");
        }
        if has_section(trimmed, "[internetshortcut") {
            return Kind::Shortcut("Internet");
        }
        if trimmed.starts_with("[desktop entry]") {
            return Kind::Shortcut("desktop");
        }
        let is_job = tagged("<job") || tagged("<package") || tagged("<component");
        if is_job && memchr::memmem::find(&data.to_ascii_lowercase(), b"<script").is_some()
            || tagged("<scriptlet")
            || tagged("<?component")
            || head.contains("<hta:application")
        {
            return Kind::Script("Windows Script Host");
        }
        if trimmed.starts_with("(this file must be converted with binhex") {
            return Kind::Wrapped(Wrapping::BinHex);
        }
        if self.is_html() {
            return Kind::Html;
        }
        if self.is_message() {
            return Kind::Message;
        }
        Kind::Other
    }

    /// Browsers read a file named as a page from its first byte on; one without that name, by
    /// its first tag. Text may stand before it.
    pub(super) fn is_html(&self) -> bool {
        let text = self.0.trim_start_matches(is_blank);
        const STARTS: [&str; 15] = [
            "<!doctype html",
            "<html",
            "<head",
            "<body",
            "<script",
            "<svg",
            "<iframe",
            "<meta",
            "<title",
            "<style",
            "<!doctype svg",
            "<form",
            "<h1",
            "<table",
            "<a href",
        ];
        if STARTS.iter().any(|start| text.starts_with(start)) {
            return true;
        }
        let marked = text.starts_with('<');
        marked
            && ["<html", "<script", "<svg", "<body", ":svg", ":script"]
                .iter()
                .any(|tag| text.contains(tag))
    }

    /// Two header fields that only mail has, in the first block of lines that are fields.
    pub(super) fn is_message(&self) -> bool {
        let text = self.0.trim_start_matches(is_blank);
        let mut known = 0;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with([' ', '\t']) && index > 0 || index == 0 && line.starts_with("from ")
            {
                continue;
            }
            let Some((name, _)) = line.split_once(':') else { break };
            let name = name.trim_end();
            if name.is_empty() || !name.bytes().all(|it| it.is_ascii_graphic()) {
                break;
            }
            known += u32::from(FIELDS.contains(&name));
        }
        known >= 2
    }

    /// A document in one file of XML.
    pub(super) fn is_document(&self) -> bool {
        [
            "progid=\"word",
            "progid=\"excel",
            "progid=\"powerpoint",
            "/office/word/2003/wordml",
            "schemas-microsoft-com:office:spreadsheet",
            "/office/2006/xmlpackage",
            "opendocument:xmlns:office:1.0",
            "progid='word",
            "progid='excel",
        ]
        .iter()
        .any(|mark| self.0.contains(mark))
    }

    /// SYLK begins with an ID record; Excel reads it under any name.
    pub(super) fn is_sylk(&self) -> bool {
        self.0.trim_start_matches(is_blank).starts_with("id;")
    }

    pub(super) fn is_pgp(&self) -> bool {
        self.0.contains("-----begin pgp message")
    }

    pub(super) fn is_card(&self) -> bool {
        let text = self.0.trim_start_matches(is_blank);
        text.starts_with("begin:v")
    }
}

/// Fields that stand in nearly every message, or only in messages.
const FIELDS: &[&str] = &[
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
    "authentication-results",
    "bcc",
    "cc",
    "content-disposition",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "dkim-signature",
    "from",
    "in-reply-to",
    "list-id",
    "list-unsubscribe",
    "message-id",
    "mime-version",
    "precedence",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "thread-index",
    "thread-topic",
    "to",
    "x-mailer",
    "x-original-to",
    "x-received",
    "user-agent",
    "importance",
    "x-priority",
];

fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{feff}' | '\0')
}

/// A section's name alone on its line, before any text that is no setting.
fn has_section(text: &str, section: &str) -> bool {
    let is_setting =
        |line: &str| line.is_empty() || line.starts_with([';', '#', '[']) || line.contains('=');
    text.lines()
        .map(str::trim)
        .take_while(|line| is_setting(line))
        .any(|it| it.starts_with(section))
}

/// The beginning in lower case, also of UTF-16.
fn plain(head: &[u8]) -> String {
    let (label, bytes) = match head {
        [0xff, 0xfe, rest @ ..] => ("utf-16le", rest),
        [0xfe, 0xff, rest @ ..] => ("utf-16be", rest),
        [b'<', 0, ..] => ("utf-16le", head),
        [0, b'<', ..] => ("utf-16be", head),
        [0xef, 0xbb, 0xbf, rest @ ..] => ("utf-8", rest),
        _ => ("windows-1252", head),
    };
    crate::message::decode_text(bytes, label).to_ascii_lowercase()
}
