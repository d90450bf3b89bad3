//! Documents: macros, fields, templates, objects.

mod made;

use made::archives::{ole, zip};
use made::documents::{doc, native, ooxml, vba_project};
use made::{classes, eicar, found, message};
use mailkiln_inspect::Class::{
    self, ActiveDocument, AutoMacro, DeceptiveName, EncryptedArchive, Executable, Macro, Malware,
};

const SUM: &str = "Sub Total()\r\nRange(\"A1\") = 1\r\nEnd Sub\r\n";
const OPENS: &str = "Private Sub Document_Open()\r\nMsgBox 1\r\nEnd Sub\r\n";
const RUNS: &str = "Sub Go()\r\nShell \"calc\"\r\nEnd Sub\r\n";

fn of(name: &str, document: &[u8]) -> Vec<Class> {
    classes(&message(name, document))
}

#[test]
fn macros_are_told_by_what_they_do() {
    for (code, class) in [(SUM, Macro), (OPENS, AutoMacro), (RUNS, AutoMacro)] {
        assert_eq!(of("a.doc", &doc(code)), [class], "{code}");
        let project = vba_project(code);
        assert_eq!(of("a.docm", &ooxml(&[("word/vbaProject.bin", &project)])), [class], "{code}");
        assert_eq!(of("a.xlsm", &ooxml(&[("xl/other.bin", &project)])), [class], "{code}");
    }
    assert_eq!(of("a.doc", &doc("Option Explicit\r\n")), []);
}

#[test]
fn the_reasons_name_the_procedure_and_the_calls() {
    let findings = found(&message("a.doc", &doc(&format!("{OPENS}{RUNS}"))));
    let reasons: Vec<_> = findings.iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "a macro starts by itself (Document_Open)",
            "a macro calls what documents have no need of (shell)",
        ]
    );
}

#[test]
fn a_macro_without_its_source_is_told() {
    let stomped = ole(&[
        ("/Macros/VBA/_VBA_PROJECT", vec![0xcc, 0x61]),
        ("/Macros/VBA/dir", vec![1, 0, 0]),
        ("/Macros/VBA/Module1", b"compiled code and nothing else".to_vec()),
    ]);
    assert_eq!(of("a.doc", &stomped), [AutoMacro]);
}

#[test]
fn malware_in_a_macro_is_found_by_the_rules() {
    let code = "Sub AutoOpen()\r\nSet x = CreateObject(\"MSXML2.XMLHTTP\")\r\nSet s = CreateObject(\"WScript.Shell\")\r\nEnd Sub\r\n";
    assert_eq!(of("a.doc", &doc(code)), [Malware, AutoMacro]);
}

#[test]
fn excel_4_macros_are_told() {
    let record = |kind: u16, body: &[u8]| {
        [kind.to_le_bytes().as_slice(), &(body.len() as u16).to_le_bytes(), body].concat()
    };
    let workbook = [
        record(0x809, &[0; 16]),
        record(0x85, &[0, 0, 0, 0, 1, 1, 2, 0, b'M', b'1']),
        record(0x18, &[0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(0x0a, &[]),
    ]
    .concat();
    let findings = found(&message("a.xls", &ole(&[("/Workbook", workbook)])));
    assert_eq!(findings[0].reason, "it has a sheet of Excel 4 macros, and it starts by itself");
    let sheet: &[u8] = b"<xm:macrosheet xmlns:xm='x'/>";
    assert_eq!(of("a.xlsm", &ooxml(&[("xl/macrosheets/sheet1.xml", sheet)])), [AutoMacro]);
}

#[test]
fn fields_that_start_programs_are_told() {
    let field = |text: &str| {
        format!(
            "<w:document xmlns:w='w'><w:p><w:r><w:instrText>{text}</w:instrText></w:r></w:p></w:document>"
        )
    };
    for (instruction, expected) in [
        ("DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe \"/k calc\"", vec![ActiveDocument]),
        ("D</w:instrText></w:r><w:r><w:instrText>DEAUTO x", vec![ActiveDocument]),
        ("QUOTE 68 68 69 65 85 84 79 32 120", vec![ActiveDocument]),
        ("PAGE \\* MERGEFORMAT", vec![]),
    ] {
        let part = field(instruction);
        assert_eq!(
            of("a.docx", &ooxml(&[("word/document.xml", part.as_bytes())])),
            expected,
            "{instruction}"
        );
        let wide: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(part.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(
            of("a.docx", &ooxml(&[("word/document.xml", &wide)])),
            expected,
            "{instruction}"
        );
    }
    let simple: &[u8] = b"<w:p xmlns:w='w'><w:fldSimple w:instr='DDE \"x\" \"y\"'/></w:p>";
    assert_eq!(of("a.docx", &ooxml(&[("word/document.xml", simple)])), [ActiveDocument]);
    let mut word = vec![0; 4096];
    word[2048..2062].copy_from_slice(b"\x13 DDEAUTO cmd\x15");
    assert_eq!(of("a.doc", &ole(&[("/WordDocument", word)])), [ActiveDocument]);
    assert_eq!(
        of("a.rtf", b"{\\rtf1{\\field{\\*\\fldinst {D}{\\b DEAUTO x y}}}}"),
        [ActiveDocument]
    );
    assert_eq!(of("a.csv", b"a,b\r\n1,=cmd|'/c calc'!A0\r\n"), [ActiveDocument]);
    assert_eq!(of("a.csv", b"a,b\r\n1,=SUM(A1:A2)\r\n"), []);
    let link: &[u8] =
        b"<externalLink><ddeLink ddeService='cmd' ddeTopic='/c calc'/></externalLink>";
    assert_eq!(
        of("a.xlsx", &ooxml(&[("xl/externalLinks/externalLink1.xml", link)])),
        [ActiveDocument]
    );
}

#[test]
fn what_is_fetched_at_opening_is_told_and_links_are_not() {
    for (kind, target, expected) in [
        ("attachedTemplate", "http://x.example/a.dotm", vec![ActiveDocument]),
        ("oleObject", "mhtml:http://x.example/a.html!x", vec![ActiveDocument]),
        ("frame", "\\\\x.example\\share\\a", vec![ActiveDocument]),
        ("attachedTemplate", "file:///C:/Templates/letter.dotx", vec![]),
        ("hyperlink", "https://x.example/", vec![]),
        ("image", "https://x.example/logo.png", vec![]),
    ] {
        let rels = format!(
            "<Relationships><Relationship Id='r' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}' Target='{target}' TargetMode='External'/></Relationships>"
        );
        assert_eq!(
            of("a.docx", &ooxml(&[("word/_rels/settings.xml.rels", rels.as_bytes())])),
            expected,
            "{kind} {target}"
        );
    }
    assert_eq!(of("a.rtf", b"{\\rtf1{\\*\\template http://x.example/a.dotm}}"), [ActiveDocument]);
}

#[test]
fn embedded_files_are_told_and_opened() {
    let package = native("invoice.exe", &made::program());
    let object = ole(&[("/\u{1}Ole10Native", package.clone())]);
    assert_eq!(
        of("a.docx", &ooxml(&[("word/embeddings/oleObject1.bin", &object)])),
        [ActiveDocument, Executable]
    );
    let hex: String = object.iter().map(|byte| format!("{byte:02x}\r\n")).collect();
    let rtf = format!("{{\\rtf1{{\\object\\objemb{{\\*\\objdata {hex}}}}}}}");
    assert_eq!(of("a.rtf", rtf.as_bytes()), [ActiveDocument, Executable]);
    let sheet = ooxml(&[("xl/workbook.xml", b"<workbook/>")]);
    assert_eq!(of("a.docx", &ooxml(&[("word/embeddings/table.xlsx", &sheet)])), []);
}

#[test]
fn documents_with_a_password_are_told() {
    assert_eq!(
        of("a.docx", &ole(&[("/EncryptedPackage", vec![0; 64]), ("/EncryptionInfo", vec![4, 0])])),
        [EncryptedArchive]
    );
    assert_eq!(
        of("a.xls", &ole(&[("/Workbook", vec![9, 8, 0, 0, 0x2f, 0, 2, 0, 0, 0])])),
        [EncryptedArchive]
    );
    let mut word = vec![0; 4096];
    word[11] = 1;
    assert_eq!(of("a.doc", &ole(&[("/WordDocument", word)])), [EncryptedArchive]);
    let manifest: &[u8] =
        b"<manifest:manifest xmlns:manifest='m'><manifest:encryption-data/></manifest:manifest>";
    assert_eq!(of("a.odt", &zip(&[("META-INF/manifest.xml", manifest)])), [EncryptedArchive]);
}

#[test]
fn open_documents_with_macros_are_told() {
    let manifest: (&str, &[u8]) = ("META-INF/manifest.xml", b"<manifest/>");
    let module = |code: &str| format!("<script:module xmlns:script='s'>{code}</script:module>");
    let sum = module("Sub Total\nEnd Sub");
    assert_eq!(
        of("a.ods", &zip(&[manifest, ("Basic/Standard/Module1.xml", sum.as_bytes())])),
        [Macro]
    );
    let runs = module("Sub Go\nShell(&quot;calc&quot;)\nEnd Sub");
    assert_eq!(
        of("a.ods", &zip(&[manifest, ("Basic/Standard/Module1.xml", runs.as_bytes())])),
        [AutoMacro]
    );
    let listener: &[u8] = b"<o:d xmlns:o='o' xmlns:script='s' xmlns:xlink='x'><script:event-listener script:event-name='dom:load' xlink:href='vnd.sun.star.script:Standard.Module1.Go?language=Basic'/></o:d>";
    assert_eq!(of("a.odt", &zip(&[manifest, ("content.xml", listener)])), [AutoMacro]);
}

#[test]
fn installers_and_old_equations_are_told() {
    let mut file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())).unwrap();
    let class = "000c1084-0000-0000-c000-000000000046".parse().unwrap();
    file.set_storage_clsid("/", class).unwrap();
    file.flush().unwrap();
    let installer = file.into_inner().into_inner();
    assert_eq!(of("a.doc", &installer), [Executable]);
    assert_eq!(
        of("a.doc", &ole(&[("/ObjectPool/_1/Equation Native", vec![0; 64])])),
        [ActiveDocument]
    );
}

#[test]
fn malware_inside_an_outlook_message_has_its_name() {
    let wide: Vec<u8> = "a.txt".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let attachment = "/__attach_version1.0_#00000000";
    let message_file = ole(&[
        (&format!("{attachment}/__substg1.0_37010102"), eicar()),
        (&format!("{attachment}/__substg1.0_3707001F"), wide),
    ]);
    let findings = found(&message("a.msg", &message_file));
    assert_eq!(findings.last().unwrap().place, ["a.msg", "a.txt"]);
}

#[test]
fn a_document_that_is_called_a_picture_is_told() {
    assert_eq!(of("a.png", &doc(SUM)), [DeceptiveName, Macro]);
}
