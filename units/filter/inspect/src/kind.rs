//! What a file is by its content. Names lie, and so do media types.

/// Kinds that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A program, and of what sort.
    Program(&'static str),
    /// A script, and of what sort.
    Script(&'static str),
    /// A link file, and of what sort.
    Shortcut(&'static str),
    Zip,
    SevenZip,
    Rar,
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Zstd,
    Iso,
    Cab,
    /// An OLE compound file: Office before 2007, installers, Outlook messages.
    Ole,
    Rtf,
    Html,
    /// A mail message as a file.
    Message,
    OneNote,
    /// `winmail.dat`: Outlook's own container.
    Tnef,
    /// A container that can't be opened here.
    Opaque(&'static str),
    Other,
}

impl Kind {
    /// Whether programs that show names alone would show something harmless.
    pub(crate) fn contradicts(self, extension: &str) -> bool {
        let picture =
            matches!(extension, "jpg" | "jpeg" | "png" | "gif" | "bmp" | "tif" | "tiff" | "webp");
        let media =
            matches!(extension, "mp3" | "mp4" | "wav" | "avi" | "mov" | "pdf" | "txt" | "csv");
        let document =
            matches!(extension, "doc" | "docx" | "xls" | "xlsx" | "ppt" | "pptx" | "odt" | "rtf");
        match self {
            Kind::Program(_) | Kind::Script(_) | Kind::Shortcut(_) => picture || media || document,
            Kind::Html => picture || matches!(extension, "pdf" | "docx" | "xlsx"),
            Kind::Iso | Kind::Rar | Kind::SevenZip | Kind::Cab | Kind::OneNote => {
                picture || media || document
            }
            Kind::Zip | Kind::Ole | Kind::Rtf => picture || matches!(extension, "pdf"),
            _ => false,
        }
    }

    pub(crate) fn of(data: &[u8]) -> Kind {
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
        if at(257, b"ustar") || is_old_tar(data) {
            return Kind::Tar;
        }
        if [32768usize, 34816, 36864].iter().any(|sector| at(sector + 1, b"CD001")) {
            return Kind::Iso;
        }
        if data.len() > 512
            && data.get(data.len() - 512..).is_some_and(|end| end.starts_with(b"conectix"))
        {
            return Kind::Opaque("a virtual disk");
        }
        if starts(&[0x5d, 0, 0]) && data.len() > 13 && matches!(data.get(12), Some(0 | 0xff)) {
            return Kind::Lzma;
        }
        if let Some(kind) = data.get(..64 << 10).or(Some(data)).and_then(zip_behind_something) {
            return kind;
        }
        text(data)
    }
}

/// The first bytes of files that begin with what they are.
const MAGICS: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK00PK\x03\x04", Kind::Zip),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"Rar!\x1a\x07", Kind::Rar),
    (b"RE~^", Kind::Rar),
    (b"\x1f\x8b", Kind::Gzip),
    (b"BZh", Kind::Bzip2),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"LZIP", Kind::Opaque("an lzip file")),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"MSCF\0\0\0\0", Kind::Cab),
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
        _ => text(data),
    }
}

/// Tar before POSIX has no magic, but a checksum of its header.
fn is_old_tar(data: &[u8]) -> bool {
    let Some(header) = data.get(..512) else { return false };
    if header.first() == Some(&0) {
        return false;
    }
    let field = header.get(148..156).unwrap_or_default();
    let Ok(digits) = std::str::from_utf8(field) else { return false };
    let Ok(stated) = u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8) else { return false };
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let blanked: u32 = field.iter().map(|byte| u32::from(*byte)).sum();
    stated == sum - blanked + 8 * u32::from(b' ')
}

/// Archives behind a little of something else: programs look for archives from the end.
fn zip_behind_something(head: &[u8]) -> Option<Kind> {
    let at = memchr::memmem::find(head, b"PK\x03\x04")?;
    // A local header: a version that exists, and a name that is not absurdly long.
    let header = head.get(at..at + 30)?;
    let (version, name) =
        (header.get(4).copied()?, u16::from_le_bytes([*header.get(26)?, *header.get(27)?]));
    (version <= 63 && header.get(5) == Some(&0) && (1..512).contains(&name)).then_some(Kind::Zip)
}

fn text(data: &[u8]) -> Kind {
    let head = plain(data.get(..8192).unwrap_or(data));
    let trimmed = head.trim_start();
    if trimmed.starts_with("{\\rt") {
        return Kind::Rtf;
    }
    if trimmed.starts_with("#!") {
        return Kind::Script("shebang");
    }
    if head.contains("[internetshortcut") {
        return Kind::Shortcut("Internet");
    }
    if trimmed.starts_with("[desktop entry]") {
        return Kind::Shortcut("desktop");
    }
    if trimmed.starts_with("<job")
        || trimmed.starts_with("<scriptlet")
        || trimmed.starts_with("<component")
        || head.contains("<hta:application")
    {
        return Kind::Script("Windows Script Host");
    }
    if is_html(trimmed) {
        return Kind::Html;
    }
    if is_message(trimmed) {
        return Kind::Message;
    }
    Kind::Other
}

/// The beginning in lower case, also of UTF-16.
fn plain(head: &[u8]) -> String {
    let (label, bytes) = match head {
        [0xff, 0xfe, rest @ ..] => ("utf-16le", rest),
        [0xfe, 0xff, rest @ ..] => ("utf-16be", rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => ("utf-8", rest),
        _ => ("windows-1252", head),
    };
    crate::message::decode_text(bytes, label).to_ascii_lowercase()
}

fn is_html(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    const STARTS: [&str; 12] = [
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
    ];
    if STARTS.iter().any(|start| text.starts_with(start)) {
        return true;
    }
    let marked = text.starts_with("<!--") || text.starts_with("<?xml") || text.starts_with('<');
    marked && ["<html", "<script", "<svg", "<body"].iter().any(|tag| text.contains(tag))
}

/// Two header fields that only mail has, in the first lines.
fn is_message(text: &str) -> bool {
    const FIELDS: [&str; 10] = [
        "received:",
        "from:",
        "to:",
        "subject:",
        "date:",
        "message-id:",
        "mime-version:",
        "return-path:",
        "content-type:",
        "x-mailer:",
    ];
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if !first.starts_with("from ")
        && !FIELDS.iter().any(|field| first.starts_with(field))
        && !first.starts_with("x-")
    {
        return false;
    }
    let fields = text
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| FIELDS.iter().any(|field| line.starts_with(field)));
    fields.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        let mut pe = vec![0; 200];
        pe[..2].copy_from_slice(b"MZ");
        pe[60] = 128;
        pe[128..132].copy_from_slice(b"PE\0\0");
        let mut iso = vec![0; 40_000];
        iso[32769..32774].copy_from_slice(b"CD001");
        for (data, kind) in [
            (pe.as_slice(), Kind::Program("Windows")),
            (iso.as_slice(), Kind::Iso),
            (b"MZ is how this sentence begins, and it goes on for more than sixty-four letters.", Kind::Other),
            (b"\x7fELF\x02\x01", Kind::Program("Linux")),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", Kind::Program("Java")),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Kind::Program("macOS")),
            (b"#!/bin/sh\nrm -rf /", Kind::Script("shebang")),
            (b"\n<!DOCTYPE HTML><p>", Kind::Html),
            (b"\xff\xfe<\0h\0t\0m\0l\0>\0", Kind::Html),
            (b"<?xml version='1.0'?><svg xmlns=''>", Kind::Html),
            (b"<?xml version='1.0'?><invoice>", Kind::Other),
            (b"From: a@b\r\nSubject: x\r\n\r\nbody", Kind::Message),
            (b"From: the beginning of a letter\n\nand no more", Kind::Other),
            (b"[InternetShortcut]\r\nURL=file://x", Kind::Shortcut("Internet")),
            (b"#!/bin/sh\nexit\nPK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0abcd", Kind::Zip),
            (b"", Kind::Other),
        ] {
            assert_eq!(Kind::of(data), kind, "{:?}", String::from_utf8_lossy(&data[..data.len().min(40)]));
        }
    }
}
