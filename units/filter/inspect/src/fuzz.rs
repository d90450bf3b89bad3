//! One function per format for the fuzz targets: none may panic, hang, or allocate without bound.

use std::time::{Duration, Instant};

use crate::archive::{cab, cpio, iso, onenote, rar, sevenzip, single, tar, tnef, wrapped, zip};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::malware::Rules;
use crate::office::{ole, powerpoint, rtf, sheet, vba, xml};
use crate::report::Report;
use crate::walk::Walk;

/// Smaller than in the service, so that a run is short.
const LIMITS: Limits = Limits {
    depth: 4,
    entries: 200,
    ratio: 50,
    bytes: 16 << 20,
    part_bytes: 4 << 20,
    time: Duration::from_secs(20),
};

/// Longer than the limit allows, with what one decoder does between two looks at the clock.
const LONGEST: Duration = Duration::from_secs(25);

fn run(look: impl FnOnce(&mut Walk<'_>)) -> Report {
    let Ok(rules) = Rules::builtin() else { return Report::default() };
    let started = Instant::now();
    let mut walk = Walk::new(&LIMITS, &rules, started + LIMITS.time);
    walk.begin(1 << 20);
    look(&mut walk);
    let report = walk.finish();
    assert!(started.elapsed() < LONGEST, "it took longer than its limit");
    assert!(report.bytes <= LIMITS.bytes * 2 + (4 << 20), "it looked at more than its limit");
    report
}

/// A whole message.
pub fn message(bytes: &[u8]) {
    let report = run(|walk| walk.top(bytes));
    for finding in report.findings {
        assert!(!finding.to_string().contains(['\r', '\n']), "a line break in a finding");
    }
}

/// A message as two readers see it: what the mail server's parser hands out as an attachment is
/// no milder in the whole message than alone.
pub fn readers(bytes: &[u8]) {
    use mail_parser::{MessageParser, MimeHeaders};
    let worst = |report: &Report| report.findings.iter().map(|it| it.class.rank()).min();
    let whole = run(|walk| walk.top(bytes));
    let Some(parsed) = MessageParser::default().parse(bytes) else { return };
    for part in parsed.attachments() {
        let names: Vec<&str> = part.attachment_name().into_iter().collect();
        let alone = run(|walk| walk.thing(&names, part.contents(), crate::walk::Within::Files));
        let is_milder =
            worst(&alone).is_some_and(|of_one| worst(&whole).is_none_or(|it| it > of_one));
        assert!(!is_milder, "{names:?} is judged alone only");
    }
}

/// cpio and ar archives.
pub fn cpio(bytes: &[u8]) {
    run(|walk| cpio::walk(walk, bytes));
    run(|walk| cpio::ar(walk, bytes));
}

/// Files wrapped for the way, PDF, cryptographic messages, documents in one file.
pub fn wrapped(bytes: &[u8]) {
    use crate::kind::Wrapping;
    for how in [Wrapping::BinHex, Wrapping::AppleDouble, Wrapping::MacBinary] {
        run(|walk| wrapped::walk(walk, how, bytes));
    }
    run(|walk| {
        wrapped::yenc(walk, bytes);
        crate::signed::cms(walk, bytes);
        crate::text::flat_document(walk, bytes);
        crate::text::sylk(walk, bytes);
        crate::text::card(walk, bytes);
        crate::text::active_mime(walk, bytes);
    });
}

/// PDF.
pub fn pdf(bytes: &[u8]) {
    run(|walk| crate::pdf::walk(walk, bytes));
}

/// A zip archive, and the documents that are one.
pub fn zip(bytes: &[u8]) {
    run(|walk| zip::walk(walk, bytes));
}

/// A 7z archive.
pub fn sevenzip(bytes: &[u8]) {
    run(|walk| sevenzip::walk(walk, bytes));
}

/// A RAR archive.
pub fn rar(bytes: &[u8]) {
    run(|walk| rar::walk(walk, bytes));
}

/// A tar archive.
pub fn tar(bytes: &[u8]) {
    run(|walk| tar::walk(walk, bytes));
}

/// Files compressed one by one; the content says which way.
pub fn compressed(bytes: &[u8]) {
    let kind = Kind::of(bytes);
    if matches!(kind, Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Zstd) {
        run(|walk| single::walk(walk, kind, Some("a.gz"), bytes));
    }
}

/// A disc image.
pub fn iso(bytes: &[u8]) {
    run(|walk| iso::walk(walk, bytes));
}

/// A cabinet.
pub fn cab(bytes: &[u8]) {
    run(|walk| cab::walk(walk, bytes));
}

/// A OneNote section.
pub fn onenote(bytes: &[u8]) {
    run(|walk| onenote::walk(walk, bytes));
}

/// `winmail.dat`.
pub fn tnef(bytes: &[u8]) {
    run(|walk| tnef::walk(walk, bytes));
}

/// An OLE compound file.
pub fn ole(bytes: &[u8]) {
    run(|walk| ole::walk(walk, bytes));
}

/// Streams of old documents: a workbook's, a presentation's, an embedded file.
pub fn streams(bytes: &[u8]) {
    run(|walk| {
        sheet::workbook(walk, bytes);
        powerpoint::walk(walk, bytes);
        ole::native(walk, bytes);
    });
}

/// A macro's compressed source.
pub fn vba(bytes: &[u8]) {
    run(|walk| {
        for source in vba::sources(bytes, Some(0), 1 << 20) {
            crate::office::source(walk, &source);
        }
    });
}

/// Parts of XML documents.
pub fn document_xml(bytes: &[u8]) {
    run(|walk| {
        xml::ooxml(walk, "word/document.xml", bytes);
        xml::open_document(walk, "Basic/Standard/Module1.xml", bytes);
    });
}

/// RTF.
pub fn rtf(bytes: &[u8]) {
    run(|walk| rtf::walk(walk, bytes));
}

/// A web page.
pub fn html(bytes: &[u8]) {
    run(|walk| crate::html::walk(walk, bytes));
}
