//! Whatever is done to a file that some program still reads, the strictest action stays: a
//! property over generated changes of messages and archives, and one case for each kind of change.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod made;

use made::archives::{self, ole, zip};
use made::{base64, found, message};
use mailkiln_inspect::Class;
use proptest::prelude::*;

/// 4 for what is refused, 3 for what is quarantined, 1 for a mark: the usual policy.
fn strictness(message: &[u8]) -> u8 {
    let of = |class: Class| match class.rank() {
        0 | 1 => 4,
        2 | 3 => 3,
        _ => 1,
    };
    found(message).iter().map(|finding| of(finding.class)).max().unwrap_or(0)
}

const SCRIPT: &[u8] = b"WScript.Echo('harmless test');";

/// One change of an archive that programs read through.
fn changed(archive: &[u8], kind: u8, filler: &[u8]) -> Vec<u8> {
    let central = memchr::memmem::find(archive, b"PK\x01\x02").unwrap();
    let end = memchr::memmem::rfind(archive, b"PK\x05\x06").unwrap();
    match kind % 8 {
        // A prefix, with whatever magic.
        0 => [filler, archive].concat(),
        1 => [b"{\\rtf1 hi}", filler, archive].concat(),
        2 => [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", filler, archive].concat(),
        // A comment, and a suffix.
        3 => {
            let mut changed = archive.to_vec();
            let length = u16::try_from(filler.len()).unwrap_or(0);
            changed[end + 20..end + 22].copy_from_slice(&length.to_le_bytes());
            changed.extend_from_slice(filler);
            changed
        }
        4 => [archive, filler].concat(),
        // A second entry for the same member, under a harmless name.
        5 => {
            let entry = &archive[central..end];
            let mut second = entry.to_vec();
            let at = memchr::memmem::find(&second, b"invoice.js").unwrap();
            second[at..at + 10].copy_from_slice(b"readme.txt");
            let mut record = archive[end..].to_vec();
            record[8..12].copy_from_slice(&[2, 0, 2, 0]);
            let size = u32::try_from(entry.len() * 2).unwrap_or(0);
            record[12..16].copy_from_slice(&size.to_le_bytes());
            [&archive[..end], &second, &record].concat()
        }
        // The local header's version has the byte of a host.
        6 => {
            let mut changed = archive.to_vec();
            changed[5] = 11;
            [b"x", changed.as_slice()].concat()
        }
        // The local header alone says that it is encrypted.
        _ => {
            let mut changed = archive.to_vec();
            changed[6] |= 1;
            changed
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_change_of_an_archive_makes_it_milder(
        changes in prop::collection::vec((0u8..8, prop::collection::vec(any::<u8>(), 0..600)), 1..3),
        at_end in any::<bool>(),
    ) {
        let mut archive = zip(&[("invoice.js", SCRIPT)]);
        for (kind, filler) in &changes {
            let filler: Vec<u8> = filler.iter().map(|byte| byte & 0x7f).collect();
            if memchr::memmem::find(&filler, b"PK").is_none() {
                archive = changed(&archive, *kind, &filler);
            }
        }
        let outer = if at_end { archives::tar(&[("a.zip", &archive)]) } else { archive };
        prop_assert_eq!(strictness(&message("a.bin", &outer)), 4);
    }

    #[test]
    fn no_spelling_of_a_name_makes_it_milder(
        before in "[a-z]{1,8}",
        after in prop::sample::select(vec![" (a)", "(a)", ".", " .", "\u{200b}", "::$DATA", ""]),
        upper in any::<bool>(),
        way in 0u8..4,
    ) {
        let name = format!("{before}.{}{after}", if upper { "JS" } else { "js" });
        let field = match way {
            0 => format!("filename=\"{name}\""),
            1 => format!("filename*=utf-8''{}", name.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>()),
            2 => format!("filename*0=\"{before}\"; filename*1=\".js{after}\""),
            _ => format!("filename=\"=?utf-8?B?{}?=\"", base64(name.as_bytes())),
        };
        let message = format!(
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
             Content-Type: application/octet-stream\r\nContent-Disposition: attachment; {field}\r\n\r\n\
             x = 1\r\n--b--\r\n"
        );
        prop_assert_eq!(strictness(message.as_bytes()), 4, "{}", field);
    }

    #[test]
    fn no_way_to_write_a_multipart_makes_it_milder(
        junk in "[ a-z]{0,6}",
        way in 0u8..7,
    ) {
        let (field, open) = match way {
            0 => ("multipart/mixed; boundary=aaa; boundary=b".to_owned(), "--b".to_owned()),
            1 => ("multipart/mixed; boundary*0=b; boundary=aaa".to_owned(), "--b".to_owned()),
            2 => ("multipart/mixed (; boundary=aaa;); boundary=b".to_owned(), "--b".to_owned()),
            3 => ("\"multipart/mixed\"; boundary=b".to_owned(), "--b".to_owned()),
            4 => ("multipart/mixed; boundary=b (x)".to_owned(), "--b".to_owned()),
            5 => ("multipart/mixed; boundary=b".to_owned(), format!("--b{junk}")),
            _ => ("multipart/mixed; boundary=b".to_owned(), format!("{junk} --b")),
        };
        let message = format!(
            "Subject: x\r\nContent-Type: {field}\r\n\r\n{open}\r\n\
             Content-Type: application/octet-stream; name=\"invoice.js\"\r\n\r\nx = 1\r\n--b--\r\n"
        );
        prop_assert!(strictness(message.as_bytes()) >= 3, "{}", message);
    }
}

#[test]
fn two_hundred_marks_hide_no_program() {
    let mut members: Vec<(String, Vec<u8>)> = (0..300)
        .map(|number| (format!("{number}.lzh"), b"\x20\x00-lh5-xxxxxxxxx".to_vec()))
        .collect();
    members.push(("evil.exe".to_owned(), made::program()));
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let findings = found(&message("a.tar", &archives::tar(&members)));
    for class in [Class::Executable, Class::Limit, Class::Opaque] {
        assert!(findings.iter().any(|finding| finding.class == class), "{class}");
    }
}

#[test]
fn names_in_compound_files_know_no_case() {
    let stream = |name: &str| ole(&[(name, b"x".repeat(40))]);
    for name in ["/EncryptedPackage", "/ENCRYPTEDPACKAGE", "/encryptedpackage"] {
        assert!(strictness(&message("a.docx", &stream(name))) > 0, "{name}");
    }
}

#[test]
fn slow_inputs_are_not() {
    let begun = std::time::Instant::now();
    let templates =
        b"{\\rtf1 ".iter().copied().chain(b"{\\*\\template ".repeat(60_000)).collect::<Vec<_>>();
    let words = "=?a?b? ".repeat(60_000);
    for (name, content) in [
        ("a.rtf", templates),
        (
            "a.eml",
            format!("From: a\r\nTo: b\r\nContent-Type: text/plain; name=\"{words}\"\r\n\r\nx")
                .into_bytes(),
        ),
    ] {
        let _ = found(&message(name, &content));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}
