//! Messages and archives made so that a filter sees less than the reader's program.

mod made;

use made::archives::{self, zip};
use made::{base64, classes, eicar, found, message};
use mailkiln_inspect::Class;

fn has(classes: &[Class], class: Class) -> bool {
    classes.contains(&class)
}

#[test]
fn a_second_directory_hides_nothing() {
    let eicar = eicar();
    let two = [zip(&[("a.txt", b"harmless")]), zip(&[("b.txt", &eicar)])].concat();
    assert!(has(&classes(&message("a.zip", &two)), Class::Malware));
    let other = [zip(&[("b.txt", &eicar)]), zip(&[("a.txt", b"harmless")])].concat();
    assert!(has(&classes(&message("a.zip", &other)), Class::Malware));
}

#[test]
fn a_member_that_no_directory_lists_is_seen() {
    let eicar = eicar();
    let hidden = zip(&[("b.txt", &eicar)]);
    let local = &hidden[..memchr::memmem::find(&hidden, b"PK\x01\x02").unwrap()];
    let archive = [local, &zip(&[("a.txt", b"harmless")])].concat();
    let classes = classes(&message("a.zip", &archive));
    assert!(has(&classes, Class::Malware) && has(&classes, Class::Ambiguous), "{classes:?}");
}

#[test]
fn a_name_in_the_local_header_counts_too() {
    let mut archive = zip(&[("a.txt", b"harmless")]);
    let at = memchr::memmem::find(&archive, b"a.txt").unwrap();
    archive[at..at + 5].copy_from_slice(b"a.exe");
    assert!(has(&classes(&message("a.zip", &archive)), Class::Executable));
}

#[test]
fn a_zip_behind_a_picture_is_opened() {
    let archive = [b"GIF89a".as_slice(), &[0; 300], &zip(&[("b.txt", &eicar())])].concat();
    assert!(has(&classes(&message("a.gif", &archive)), Class::Malware));
}

#[test]
fn what_lies_about_its_type_is_told() {
    let program = made::program();
    let classes = classes(&message("holiday.jpg", &program));
    assert_eq!(classes, [Class::DeceptiveName, Class::Executable]);
    let reasons: Vec<_> = found(&message("ann\u{202e}fdp.exe", b"x"))
        .into_iter()
        .map(|finding| finding.reason)
        .collect();
    assert_eq!(
        reasons,
        [
            "\"ann\\u{202e}fdp.exe\" is deceptive: its letters are shown in another order than they stand in",
            "\"ann\\u{202e}fdp.exe\" is the name of a program",
        ]
    );
}

#[test]
fn a_file_outside_of_the_parts_is_seen() {
    let uuencoded = String::from_utf8(archives::uuencoded("a.txt", &eicar())).unwrap();
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{uuencoded}\r\n--b\r\n\r\ntext\r\n--b--\r\n"
    );
    assert_eq!(classes(message.as_bytes()), [Class::Malware]);
}

#[test]
fn a_message_in_a_message_is_opened_however_it_is_called() {
    let inner = message("a.txt", &eicar());
    for kind in ["message/rfc822", "application/octet-stream", "text/plain"] {
        let outer = format!(
            "Subject: x\r\nContent-Type: {kind}\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            base64(&inner)
        );
        assert_eq!(classes(outer.as_bytes()), [Class::Malware], "{kind}");
    }
}

#[test]
fn a_fragment_of_a_message_is_told() {
    let message = b"Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nhalf";
    assert_eq!(classes(message), [Class::Opaque]);
}

#[test]
fn honest_mail_has_no_findings() {
    let text = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\n\r\nHello,\r\n\r\nbegin 2024 was fine.\r\n";
    assert_eq!(found(text), []);
    assert_eq!(found(&message("report.pdf", b"%PDF-1.7\n1 0 obj <<>> endobj")), []);
    assert_eq!(
        found(&message("notes.zip", &zip(&[("a/b.txt", b"x"), ("a/c.png", b"\x89PNG\r\n\x1a\n")]))),
        []
    );
    assert_eq!(found(&message("empty.zip", &zip(&[]))), []);
    assert_eq!(found(&message("empty.txt", b"")), []);
}
