//! What a file is by its content. Names lie, and so do media types; and one file can be several
//! things at once, since programs look for what they know in different places.

mod magic;

pub(crate) use magic::ZIP_END;

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
    Cpio,
    Ar,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Zstd,
    /// ISO 9660, UDF, or both.
    Iso,
    Cab,
    /// An OLE compound file: Office before 2007, installers, Outlook messages.
    Ole,
    Rtf,
    Html,
    /// A mail message as a file, a web archive too.
    Message,
    OneNote,
    /// `winmail.dat`: Outlook's own container.
    Tnef,
    Pdf,
    /// A document in one file of XML: Word 2003, flat OPC, flat OpenDocument.
    FlatXml,
    /// A table in SYLK.
    Sylk,
    /// Office's macros inside a web archive.
    ActiveMime,
    /// A cryptographic message (S/MIME, CMS).
    Cms,
    /// A message that PGP has encrypted or packed.
    Pgp,
    /// BinHex, AppleDouble, MacBinary: files written for the way.
    Wrapped(Wrapping),
    /// A calendar or an address card, which can carry files.
    Card,
    /// A container that can't be opened here.
    Opaque(&'static str),
    Other,
}

/// How a file was made fit for the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    BinHex,
    AppleDouble,
    MacBinary,
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
            // Scripts are text, and a text may be about scripts.
            Kind::Script(_) | Kind::Shortcut(_) => {
                picture || document || media && !matches!(extension, "txt" | "csv")
            }
            Kind::Program(_) => picture || media || document,
            Kind::Html => picture || matches!(extension, "pdf" | "docx" | "xlsx"),
            Kind::Iso | Kind::Rar | Kind::SevenZip | Kind::Cab | Kind::OneNote => {
                picture || media || document
            }
            Kind::Zip | Kind::Ole | Kind::Rtf => picture || matches!(extension, "pdf"),
            _ => false,
        }
    }

    /// What it is by its first bytes, or its text.
    pub(crate) fn of(data: &[u8]) -> Kind {
        magic::first(data)
    }

    /// Everything that some program would take it for, under these names.
    pub(crate) fn all(data: &[u8], names: &[&str]) -> Vec<Kind> {
        let mut kinds = vec![Kind::of(data)];
        let mut add = |kind: Kind, is: bool| {
            if is && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        };
        let extensions: Vec<String> =
            names.iter().map(|name| crate::name::Name::new(name).extension).collect();
        let named = |list: &[&str]| extensions.iter().any(|it| list.contains(&it.as_str()));
        add(Kind::Zip, magic::has_zip(data));
        add(Kind::Tar, magic::is_tar(data));
        add(Kind::Iso, magic::has_disc(data));
        add(Kind::Cab, magic::cabinet(data).is_some());
        add(Kind::Pdf, magic::has_pdf(data));
        if let Some(what) = magic::file_system(data) {
            add(Kind::Opaque(what), true);
        }
        add(Kind::Opaque("a Brotli file"), named(&["br"]) && !data.is_empty());
        let text = magic::Head::new(data);
        add(Kind::Html, text.is_html() || named(&["htm", "html", "shtml", "xhtml", "xht", "svg"]));
        add(Kind::FlatXml, text.is_document());
        add(Kind::Sylk, text.is_sylk());
        add(
            Kind::Message,
            text.is_message()
                || magic::web_archive(data).is_some()
                || named(&["eml", "mht", "mhtml", "emlx", "mbox", "mbx", "nws"]),
        );
        add(Kind::Pgp, text.is_pgp() || named(&["pgp", "gpg"]) && magic::is_pgp_packet(data));
        add(Kind::Card, text.is_card());
        add(Kind::Cms, named(&["p7m", "p7z", "p7s"]) && !data.is_empty());
        kinds.retain(|kind| *kind != Kind::Other);
        kinds
    }

    /// Whether it is plainly what people look at and nothing runs: such content makes a
    /// dangerous name a mistake more often than an attack.
    pub(crate) fn is_plainly_harmless(data: &[u8]) -> bool {
        const SHOWN: [&[u8]; 8] = [
            b"%PDF-",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"GIF87a",
            b"GIF89a",
            b"II*\0",
            b"MM\0*",
            b"8BPS",
        ];
        SHOWN.iter().any(|magic| data.starts_with(magic))
    }

    /// Where in a file the web archive begins that Word would find in it.
    pub(crate) fn web_archive(data: &[u8]) -> Option<usize> {
        magic::web_archive(data)
    }

    /// Where the cabinet begins.
    pub(crate) fn cabinet(data: &[u8]) -> Option<usize> {
        magic::cabinet(data)
    }
}

#[cfg(test)]
mod tests;
