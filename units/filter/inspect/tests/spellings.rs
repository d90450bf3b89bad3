//! Ways to write the same thing that programs read and the filter once read otherwise.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod made;

use made::archives::{gzip, tar, zip};
use made::{classes, message};
use mailkiln_inspect::Class;
use proptest::prelude::*;

const SCRIPT: &[u8] = b"WScript.Echo('harmless test');";

fn attached(name: &str, content: &[u8]) -> Vec<Class> {
    classes(&message(name, content))
}

/// Every letter as a reference of HTML, in one of its spellings.
fn referenced(text: &str, way: u8) -> String {
    let letter = |it: char| match way {
        0 => format!("&#{};", u32::from(it)),
        1 => format!("&#x{:x};", u32::from(it)),
        _ => format!("&#{:07};", u32::from(it)),
    };
    text.chars().map(letter).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_filler_before_a_tar_hides_it(blocks in 1usize..40, byte in 1u8..0x7f) {
        let filler = vec![byte; blocks * 512];
        let file = [filler, tar(&[("invoice.js", SCRIPT)])].concat();
        prop_assert!(attached("a.tar", &file).contains(&Class::Script));
    }

    #[test]
    fn no_quotes_or_streams_after_a_name_hide_it(
        stem in "[a-z]{1,8}",
        after in prop::sample::select(vec!["'", "`", "*", "|", ">", ":x", ":"]),
    ) {
        let name = format!("{stem}.js{after}");
        prop_assert!(attached(&name, b"x = 1").contains(&Class::Script), "{}", name);
    }

    #[test]
    fn no_references_in_a_page_hide_its_code(way in 0u8..3) {
        let page = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><a href=\"{}\"><text>x</text></a></svg>",
            referenced("javascript:x()", way)
        );
        prop_assert!(attached("a.svg", page.as_bytes()).contains(&Class::HtmlSmuggling), "{}", page);
    }

    #[test]
    fn no_escapes_in_a_pdf_hide_a_share(way in 0u8..3) {
        let target = match way {
            0 => r"(\134\134host\\share\\a.exe)".to_owned(),
            1 => format!("< {}>", r"\\host\a".bytes().map(|it| format!("{it:02x} ")).collect::<String>()),
            _ => r"(\57\57host/share/a)".to_owned(),
        };
        let pdf = format!("%PDF-1.7\n1 0 obj <</OpenAction <</S /GoToR /F {target}>>>> endobj\n%%EOF\n");
        prop_assert!(attached("a.pdf", pdf.as_bytes()).contains(&Class::ActiveDocument), "{}", pdf);
    }
}

#[test]
fn scripts_of_a_pdf_are_read_in_wide_letters() {
    let wide: String = "exportDataObject".bytes().map(|byte| format!("00{byte:02x}")).collect();
    let pdf = format!("%PDF-1.7\n1 0 obj <</S /JavaScript /JS <feff{wide}>>> endobj\n%%EOF\n");
    assert!(attached("a.pdf", pdf.as_bytes()).contains(&Class::ActiveDocument));
}

#[test]
fn strings_of_a_pdf_that_never_end_are_a_limit_and_many_that_end_are_none() {
    let endless = format!("%PDF-1.7\n{}\n%%EOF\n", "(".repeat(200_000));
    assert!(attached("a.pdf", endless.as_bytes()).contains(&Class::Limit));
    let many: String = (0..200_000).map(|number| format!("<</T (field {number})>>\n")).collect();
    let target = r"<</OpenAction <</S /GoToR /F (\134\134host\\a)>>>>";
    let pdf = format!("%PDF-1.7\n{many}%%EOF\n");
    assert_eq!(attached("a.pdf", pdf.as_bytes()), []);
    let pdf = format!("%PDF-1.7\n{many}{target}%%EOF\n");
    assert!(attached("a.pdf", pdf.as_bytes()).contains(&Class::ActiveDocument));
}

#[test]
fn a_picture_has_code_whatever_its_prefix() {
    let page =
        b"<!-- x --><s:svg xmlns:s=\"http://www.w3.org/2000/svg\"><s:script>x()</s:script></s:svg>";
    assert!(attached("a.svg", page).contains(&Class::HtmlSmuggling));
    let font = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><text style=\"font-family:script\">a</text></svg>";
    assert_eq!(attached("a.svg", font), []);
}

#[test]
fn a_page_that_jumps_to_a_file_hands_it_over() {
    let page = b"<html><meta http-equiv=refresh content=\"0;url=data:application/octet-stream,abc\"></html>";
    assert!(attached("a.html", page).contains(&Class::HtmlSmuggling));
}

#[test]
fn code_coded_in_a_page_is_read() {
    let code =
        made::base64(b"<svg onload='x=new Blob([1]);a.download=1;u=URL.createObjectURL(x)'></svg>");
    let page = format!(
        "<html><iframe src=\"data:text/html;base64,{}\"></iframe></html>",
        code.replace("\r\n", "")
    );
    assert!(attached("a.html", page.as_bytes()).contains(&Class::HtmlSmuggling));
}

#[test]
fn the_name_of_an_unpacked_file_has_no_ending_of_a_packer() {
    for ending in ["gz", "GZ", "gzip"] {
        let found = attached(&format!("invoice.js.{ending}"), &gzip(b"x = 1"));
        assert!(found.contains(&Class::Script), "{ending}: {found:?}");
    }
}

#[test]
fn a_flag_alone_encrypts_nothing() {
    let mut archive = zip(&[("invoice.bin", &made::program())]);
    archive[6] |= 1;
    let central = memchr::memmem::find(&archive, b"PK\x01\x02").unwrap();
    archive[central + 8] |= 1;
    let found = attached("a.zip", &archive);
    assert!(found.contains(&Class::Executable), "{found:?}");
}

#[test]
fn uuencoded_files_have_other_forms() {
    let coded = made::base64(&made::program());
    let plain = made::archives::uuencoded("a.bin", &made::program());
    let plain = String::from_utf8(plain).unwrap();
    for text in [
        format!("begin-base64 644 a.bin\r\n{coded}\r\n====\r\n"),
        plain.replace("begin 644 a.bin", "begin \t644 \"a.bin\""),
        plain.replace("\r\n", "\r"),
    ] {
        let message = format!("Subject: x\r\nContent-Type: text/plain\r\n\r\nHello\r\n{text}");
        let found = classes(message.as_bytes());
        assert!(found.contains(&Class::Executable), "{text}: {found:?}");
    }
}

#[test]
fn a_field_of_rtf_is_read_to_its_end() {
    let filler = "{\\b }".repeat(200);
    let rtf = format!("{{\\rtf1 {{\\field{{\\*\\fldinst {filler}DDEAUTO a b}}}}}}");
    assert!(attached("a.rtf", rtf.as_bytes()).contains(&Class::ActiveDocument));
    // Prose about it, after the field, is none.
    let rtf =
        format!("{{\\rtf1 {{\\field{{\\*\\fldinst PAGE}}}}{} DDEAUTO }}", "word ".repeat(200));
    assert_eq!(attached("a.rtf", rtf.as_bytes()), []);
}

#[test]
fn a_slash_after_a_name_is_not_part_of_it() {
    let found = attached("a.tar", &tar(&[("invoice.js/", b"x = 1")]));
    assert!(found.contains(&Class::Script), "{found:?}");
}

#[test]
fn links_of_documents_are_remote_however_they_are_written() {
    let linked = |kind: &str, target: &str| {
        let relations = format!(
            "<Relationships><Relationship Id=\"r\" Type=\"http://x/{kind}\" Target=\"{target}\" TargetMode=\"External\"/></Relationships>"
        );
        made::documents::ooxml(&[("word/_rels/document.xml.rels", relations.as_bytes())])
    };
    for (kind, target) in
        [("attachedTemplate", "%68ttp://host/a"), ("xlExternalLinkPath", "http://host/a")]
    {
        let found = attached("a.docx", &linked(kind, target));
        assert!(found.contains(&Class::ActiveDocument), "{kind} {target}: {found:?}");
    }
}

#[test]
fn boundaries_have_other_quotes_and_one_letter() {
    for (field, boundary) in [("'bbb'", "bbb"), ("`bbb`", "bbb"), ("\"b\"; boundary=aaa", "b")] {
        let message = format!(
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=aaa; boundary={field}\r\n\r\n\
             --aaa\r\n\r\nHello\r\n--{boundary}\r\nContent-Type: application/octet-stream; name=\"invoice.js\"\r\n\r\n\
             x = 1\r\n--{boundary}--\r\n--aaa--\r\n"
        );
        let found = classes(message.as_bytes());
        assert!(found.contains(&Class::Script), "{message}: {found:?}");
    }
}
