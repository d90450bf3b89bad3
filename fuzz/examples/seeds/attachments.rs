//! Seeds for what the filter opens: made as its tests make them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared with tests")]

#[path = "../../../units/filter/inspect/tests/made/archives.rs"]
mod archives;
#[path = "../../../units/filter/inspect/tests/made/documents.rs"]
mod documents;

use rars::ArchiveVersion;

use super::Seeds;

/// What a mail server says to the filter about one message: packets of the milter protocol.
fn conversation(message: &str) -> Vec<u8> {
    let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
    let packets: [(u8, &[u8]); 9] = [
        (b'O', &offer),
        (b'C', b"mx.example.net\x004\0\x19192.0.2.7\0"),
        (b'H', b"mx.example.net\0"),
        (b'D', b"M{auth_authen}\0alice\0"),
        (b'M', b"<a@example.net>\0SIZE=99\0"),
        (b'R', b"<b@example.org>\0"),
        (b'B', message.as_bytes()),
        (b'E', b""),
        (b'Q', b""),
    ];
    let packet = |(code, data): (u8, &[u8])| {
        let length = u32::try_from(data.len() + 1).unwrap();
        [&length.to_be_bytes()[..], &[code], data].concat()
    };
    packets.into_iter().flat_map(packet).collect()
}

/// A seed for each container and document.
pub(crate) fn seeds() -> Seeds {
    let members: &[(&str, &[u8])] = &[("a.txt", b"some text, and some text"), ("b/c.txt", b"more")];
    let macros = documents::doc("Sub AutoOpen()\r\nShell \"calc\"\r\nEnd Sub\r\n");
    let package = documents::native("a.exe", b"content");
    let rtf = "{\\rtf1{\\field{\\*\\fldinst PAGE}}{\\object{\\*\\objdata 0105000002000000}}}";
    let field = "<w:p xmlns:w='w'><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>";
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x; name*=utf-8''a.zip\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nUEsFBgAA\r\n--b\r\n\r\n=?utf-8?Q?x?=\r\n--b--\r\n";
    let report = r#"{"report":{"findings":[{"class":"macro","part":1,"place":["a.doc"],"reason":"x"}],"parts":2,"bytes":3}}"#;
    let cpio = format!(
        "070701{}{:08x}{}{:08x}{}a.js\0\0x = 1",
        "0".repeat(48),
        5,
        "0".repeat(32),
        5,
        "0".repeat(8)
    );
    let pdf = "%PDF-1.7\n1 0 obj<</Type/EmbeddedFile>>stream\nx\nendstream endobj 2 0 obj<</UF(a.js)>>endobj";
    vec![
        ("filter_message", message.into()),
        ("filter_readers", message.into()),
        ("filter_strip", message.into()),
        ("filter_milter", conversation(message)),
        (
            "filter_replies",
            b"GET /v1/quarantine/20261122-103833-5d41402a HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        ("filter_replies", [&(report.len() as u64).to_le_bytes(), report.as_bytes()].concat()),
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
        ("filter_cpio", cpio.as_bytes().to_vec()),
        ("filter_pdf", pdf.into()),
        (
            "filter_wrapped",
            b"=ybegin line=128 size=1 name=a.js\r\n\xa2\r\n=yend size=1\r\n".to_vec(),
        ),
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
