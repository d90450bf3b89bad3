//! Seeds for what the filter opens: made as its tests make them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared with tests")]

#[path = "../../../units/filter/inspect/tests/made/archives.rs"]
mod archives;
#[path = "../../../units/filter/inspect/tests/made/documents.rs"]
mod documents;

use rars::ArchiveVersion;

use super::Seeds;

/// A seed for each container and document.
pub(crate) fn seeds() -> Seeds {
    let members: &[(&str, &[u8])] = &[("a.txt", b"some text, and some text"), ("b/c.txt", b"more")];
    let macros = documents::doc("Sub AutoOpen()\r\nShell \"calc\"\r\nEnd Sub\r\n");
    let package = documents::native("a.exe", b"content");
    let rtf = "{\\rtf1{\\field{\\*\\fldinst PAGE}}{\\object{\\*\\objdata 0105000002000000}}}";
    let field = "<w:p xmlns:w='w'><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>";
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x; name*=utf-8''a.zip\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nUEsFBgAA\r\n--b\r\n\r\n=?utf-8?Q?x?=\r\n--b--\r\n";
    vec![
        ("filter_message", message.into()),
        ("filter_zip", archives::zip(members)),
        ("filter_zip", documents::ooxml(&[("word/document.xml", field.as_bytes())])),
        ("filter_sevenzip", archives::sevenzip(members)),
        ("filter_rar", archives::rar(members, ArchiveVersion::Rar50, false)),
        ("filter_rar", archives::rar(members, ArchiveVersion::Rar29, false)),
        ("filter_rar", archives::rar(members, ArchiveVersion::Rar15, false)),
        ("filter_tar", archives::tar(members)),
        ("filter_compressed", archives::gzip(b"some text")),
        ("filter_compressed", archives::bzip2(b"some text")),
        ("filter_compressed", archives::xz(b"some text")),
        ("filter_compressed", archives::lzma(b"some text")),
        ("filter_compressed", archives::zstd(b"some text")),
        ("filter_iso", archives::iso("A.TXT", b"some text")),
        ("filter_cab", archives::cab(members)),
        ("filter_onenote", archives::onenote(b"some text")),
        ("filter_tnef", archives::tnef("a.txt", b"some text")),
        ("filter_ole", macros),
        ("filter_ole", archives::ole(&[("/\u{1}Ole10Native", package.clone())])),
        ("filter_streams", package),
        ("filter_streams", b"\x09\x08\x02\0\0\0\x85\0\x06\0\0\0\0\0\x01\x01".to_vec()),
        ("filter_vba", documents::compress(b"Attribute VB_Name = \"A\"\r\nSub a()\r\nEnd Sub\r\n")),
        ("filter_xml", field.into()),
        ("filter_rtf", rtf.into()),
        ("filter_html", b"<html><script>new Blob([atob('AAAA')])</script>".to_vec()),
    ]
}
