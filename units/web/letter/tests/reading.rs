//! Messages of strangers: what a page says about them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

use std::time::{Duration, Instant};

use mailkiln_letter::html::{NoImages, Policy};
use mailkiln_letter::reading::{self, NameDeceit, Notice, Outcome, Preference, Unsubscribe};
use mailkiln_letter::text;
use proptest::prelude::*;

#[path = "support/judge.rs"]
mod judge;

fn shown(message: &str) -> String {
    let letter = reading::read(message.as_bytes());
    let shown = reading::show(&letter, Preference::Html, &Policy::showing(&NoImages));
    judge::check(&shown.body).unwrap_or_else(|fault| panic!("{fault}: {}", shown.body));
    shown.body
}

/// Class 1: links are made on the text before it is escaped.
#[test]
fn text_turned_into_links_makes_no_markup() {
    let cases = [
        (
            "see https://a.example/?x=1&y=2.",
            "see <a href=\"https://a.example/?x=1&amp;y=2\">https://a.example/?x=1&amp;y=2</a>.",
        ),
        ("(www.a.example)", "(<a href=\"https://www.a.example\">www.a.example</a>)"),
        ("<me@a.example>", "&lt;<a href=\"mailto:me@a.example\">me@a.example</a>&gt;"),
        (
            "https://a.example/\"onmouseover=alert(1)",
            "<a href=\"https://a.example/\">https://a.example/</a>&quot;onmouseover=alert(1)",
        ),
        (
            "https://a.example/<script>",
            "<a href=\"https://a.example/\">https://a.example/</a>&lt;script&gt;",
        ),
        ("&lt;script&gt;", "&amp;lt;script&amp;gt;"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("> > old\n> less\nnew", "<blockquote><blockquote>old</blockquote>less</blockquote>new"),
        ("a  b", "a &nbsp;b"),
    ];
    for (given, expected) in cases {
        assert_eq!(text::to_html(given), expected);
    }
}

/// Class 16: the renderers that are forgotten.
#[test]
fn every_form_of_body_is_cleaned() {
    let payload = "<img src=x onerror=alert(1)><script>alert(1)</script>";
    for kind in [
        "text/plain",
        "text/html",
        "text/enriched",
        "text/plain; format=flowed",
        "text/html; charset=utf-7",
        "text/x-unknown",
    ] {
        let body = shown(&format!("Content-Type: {kind}\r\n\r\n{payload}"));
        assert!(!body.contains("<script") && !body.contains("<img src=x"), "{kind}: {body}");
    }
    let utf7 = shown(
        "Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-hello",
    );
    assert_eq!(utf7, "hello");
    let calendar = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n\
        BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:<script>alert(1)</script> Lunch\r\nDTSTART;TZID=Europe/Berlin:20261201T120000\r\n\
        DESCRIPTION:<img src=x onerror=1>\\nline\r\nURL:javascript:alert(1)\r\nORGANIZER:MAILTO:a@b.example\r\nATTENDEE:mailto:x\r\n\
        BEGIN:VALARM\r\nDESCRIPTION:no\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n";
    let body = shown(calendar);
    assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt; Lunch"), "{body}");
    assert!(
        body.contains("2026-12-01 12:00 (Europe/Berlin)") && !body.contains("javascript"),
        "{body}"
    );
}

#[test]
fn nested_messages_are_read_as_messages() {
    let inner = "Subject: <b>inner</b>\r\nContent-Type: text/html\r\n\r\n<script>1</script>inside";
    for (encoding, body) in [("7bit", inner.to_owned()), ("base64", "U3ViamVjdDogPGI+aW5uZXI8L2I+DQpDb250ZW50LVR5cGU6IHRleHQvaHRtbA0KDQo8c2NyaXB0PjE8L3NjcmlwdD5pbnNpZGU=".to_owned())] {
        let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--b--\r\n");
        let letter = reading::read(mail.as_bytes());
        let part = letter.parts.iter().find(|one| one.is_message).unwrap();
        assert_eq!((part.section.as_str(), part.name.as_str()), ("2", "_b_inner__b_.eml"), "{encoding}");
        let inside = reading::read_nested(mail.as_bytes(), &part.id).unwrap();
        assert_eq!(inside.headers.subject, "<b>inner</b>", "{encoding}");
        let shown = reading::show(&inside, Preference::Html, &Policy::showing(&NoImages));
        assert_eq!(shown.body.trim(), "inside", "{encoding}");
    }
}

/// Classes 20 and 35: fields are one line of text, and deceit is noticed.
#[test]
fn senders_that_lie_are_marked() {
    let cases = [
        ("\"boss@bank.example\" <x@thief.example>", Some(NameDeceit::OtherAddress)),
        ("\"Boss boss＠bank.example\" <x@thief.example>", Some(NameDeceit::OtherAddress)),
        ("=?utf-8?q?boss=40bank=2Eexample?= <x@thief.example>", Some(NameDeceit::OtherAddress)),
        ("\"x@thief.example\" <x@thief.example>", None),
        ("Bank <x@xn--80ak6aa92e.com>", Some(NameDeceit::LookAlike)),
        ("=?utf-8?q?a=E2=80=AEb?= <x@thief.example>", Some(NameDeceit::HiddenSigns)),
        ("Müller <x@xn--mnchen-3ya.example>", None),
    ];
    for (from, expected) in cases {
        let letter = reading::read(format!("From: {from}\r\n\r\nx").as_bytes());
        assert_eq!(letter.headers.from[0].deceit, expected, "{from}: {:?}", letter.headers.from);
        if expected.is_some() {
            assert!(letter.headers.from[0].label().contains('@'));
        }
    }
    let letter = reading::read(b"Subject: =?utf-8?q?a=0D=0AX:_b=E2=80=AEc=00?=\r\n\r\n");
    assert_eq!(letter.headers.subject, "a  X: b‹U+202E›c");
}

/// Class 14: names and types of attachments.
#[test]
fn names_of_attachments_are_safe() {
    let cases = [
        (Some("../../etc/passwd"), "passwd"),
        (Some("C:\\Windows\\x.exe"), "x.exe"),
        (Some("a\r\nSet-Cookie: x.txt"), "aSet-Cookie_ x.txt"),
        (Some("gpj\u{202e}exe.scr"), "gpjexe.scr"),
        (Some("..."), "attachment.pdf"),
        (Some(".htaccess"), "htaccess"),
        (Some("CON.txt"), "_CON.txt"),
        (None, "attachment.pdf"),
    ];
    for (given, expected) in cases {
        assert_eq!(reading::safe_name(given, "application/pdf"), expected);
    }
    let long = reading::safe_name(Some(&format!("{}.pdf", "x".repeat(500))), "application/pdf");
    assert!(long.ends_with(".pdf") && long.chars().count() == 120);
    assert_eq!(
        reading::content_disposition("a\"\r\nX: y ü.pdf"),
        "attachment; filename=\"a___X_ y _.pdf\"; filename*=UTF-8''a%22%0D%0AX%3A%20y%20%C3%BC.pdf"
    );
    assert!(
        reading::is_dangerous("x.SVG")
            && reading::is_dangerous("a.pdf.exe")
            && !reading::is_dangerous("a.pdf")
    );
    assert_eq!(reading::inline_image_type(b"<svg onload=1>"), None);
    let letter = reading::read(b"Content-Type: image/png; name*0*=utf-8''a%0d; name*1=\"<b>.png\"\r\nContent-Disposition: inline\r\n\r\n<svg onload=alert(1)>");
    assert!(!letter.parts[0].is_image, "the bytes decide");
}

/// Class 15: Outlook's container.
#[test]
fn winmail_is_opened_and_bounded() {
    let mut tnef = vec![0x78, 0x9f, 0x3e, 0x22, 1, 0];
    let mut attribute = |level: u8, id: u32, data: &[u8]| {
        tnef.push(level);
        tnef.extend(id.to_le_bytes());
        tnef.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        tnef.extend(data);
        tnef.extend([0, 0]);
    };
    attribute(1, 0x0002_800c, b"Hello\0");
    attribute(2, 0x0006_9002, &[0; 14]);
    attribute(2, 0x0001_8010, b"short~1.pdf\0");
    attribute(2, 0x0006_800f, b"%PDF");
    let mut properties = 1_u32.to_le_bytes().to_vec();
    properties.extend([0x1f, 0, 0x07, 0x37, 1, 0, 0, 0]);
    let name: Vec<u8> = "../long.pdf\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    properties.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
    properties.extend(&name);
    attribute(2, 0x0006_9005, &properties);
    let read = reading::read_tnef(&tnef);
    assert_eq!((read.text.as_deref(), read.is_broken), (Some("Hello"), false));
    assert_eq!(
        (read.files[0].name.as_str(), read.files[0].data.as_slice()),
        ("../long.pdf", &b"%PDF"[..])
    );
    let mut mail = b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\n".to_vec();
    mail.extend(&tnef);
    let letter = reading::read(&mail);
    let file = letter.attachments().find(|one| one.name == "long.pdf").unwrap();
    assert_eq!(reading::content(&mail, &file.id).unwrap(), b"%PDF");
    assert!(
        reading::show(&letter, Preference::Html, &Policy::showing(&NoImages))
            .body
            .contains("Hello")
    );
    // Lengths that lie: nothing is read beyond the end, nothing loops.
    for at in 6..tnef.len() {
        let mut broken = tnef.clone();
        broken[at] = 0xff;
        let _ = reading::read_tnef(&broken);
        let _ = reading::read_tnef(&tnef[..at]);
    }
}

/// Class 37: bombs.
#[test]
fn bombs_are_cut_and_said() {
    let start = Instant::now();
    let parts = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(50_000)
    );
    assert!(reading::read(parts.as_bytes()).notices.contains(&Notice::TooManyParts));
    let mut deep = String::new();
    for at in 0..5000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n"));
    }
    assert!(reading::read(deep.as_bytes()).notices.contains(&Notice::TooDeep));
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    assert!(reading::read(messages.as_bytes()).notices.contains(&Notice::TooDeep));
    let digest = format!(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nSubject: x\r\n\r\n".repeat(20_000)
    );
    let _ = reading::read(digest.as_bytes());
    let header = format!("Subject: kept\r\nX-Big: {}\r\n\r\nbody", "x\r\n ".repeat(1 << 20));
    let letter = reading::read(header.as_bytes());
    assert!(letter.notices.contains(&Notice::HeadersCut));
    assert_eq!(letter.headers.subject, "kept");
    let mut flood = String::from("Content-Type: text/plain");
    for at in 0..100_000 {
        flood.push_str(&format!(";\r\n name*{at}=x"));
    }
    let _ = reading::read(format!("{flood}\r\n\r\nx").as_bytes());
    let addresses = format!("To: {}\r\n\r\nx", "a@b.example, ".repeat(200_000));
    let _ = reading::read(addresses.as_bytes());
    let quotes = format!("Content-Type: text/plain\r\n\r\n{} x", ">".repeat(100_000));
    let letter = reading::read(quotes.as_bytes());
    let _ = reading::show(&letter, Preference::Html, &Policy::showing(&NoImages));
    let events = format!(
        "Content-Type: text/calendar\r\n\r\n{}",
        "BEGIN:VEVENT\r\nATTENDEE:x\r\nEND:VEVENT\r\n".repeat(100_000)
    );
    let _ = reading::read(events.as_bytes());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn charset_horrors_are_read() {
    let cases: &[(&[u8], &str)] = &[
        (b"Content-Type: text/plain\r\n\r\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=x-nobody\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe", "Grüße"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
        (b"Content-Type: text/plain; charset=\"iso-2022-jp\"\r\n\r\n\x1b$B$3\x1b(B", "こ"),
        (b"Content-Type: text/html\r\n\r\n<meta charset=koi8-r>\xf0\xd2\xc9", "При"),
        ("Content-Type: text/plain\r\n\r\nGrüße".as_bytes(), "Grüße"),
    ];
    for (mail, expected) in cases {
        let shown =
            reading::show(&reading::read(mail), Preference::Html, &Policy::showing(&NoImages));
        assert!(shown.body.contains(expected), "{expected}: {}", shown.body);
    }
}

#[test]
fn only_our_own_server_is_believed() {
    let mail = "Authentication-Results: mail.example; dkim=pass header.d=a.example; spf=softfail (because; of) smtp.mailfrom=b.example;\r\n dmarc=fail reason=\"policy; x\" header.from=a.example\r\n\
        Authentication-Results: mail.example; dmarc=pass header.from=bank.example\r\nX-Spam-Status: Yes, score=7.25\r\nX-Spam-Result: A_TAG (1.50),\r\n B_TAG (-6.00)\r\n\r\nx";
    let checks = reading::authentication(mail.as_bytes(), "mail.example");
    let found: Vec<(&str, Outcome, Option<&str>)> =
        checks.iter().map(|one| (one.method.as_str(), one.outcome, one.of.as_deref())).collect();
    assert_eq!(
        found,
        [
            ("dkim", Outcome::Pass, Some("a.example")),
            ("spf", Outcome::Doubtful, Some("b.example")),
            ("dmarc", Outcome::Fail, Some("a.example"))
        ]
    );
    assert_eq!(reading::authentication(mail.as_bytes(), "other.example"), []);
    let spam = reading::spam(mail.as_bytes()).unwrap();
    assert!(spam.is_spam);
    assert_eq!(
        (spam.score, spam.reasons),
        (Some(7.25), vec![("B_TAG".into(), -6.0), ("A_TAG".into(), 1.5)])
    );
}

#[test]
fn lists_are_left_in_the_best_way() {
    let mail = "List-Unsubscribe: <mailto:leave@l.example?subject=go>, <https://l.example/u?x=1>, <http://l.example/>, <javascript:x>, <https://a@b.example/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n";
    assert_eq!(
        reading::unsubscribe(mail.as_bytes()),
        [
            Unsubscribe::OneClick("https://l.example/u?x=1".into()),
            Unsubscribe::Mail("leave@l.example".into(), "go".into()),
            Unsubscribe::Page("https://l.example/u?x=1".into())
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_letter(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        mailkiln_letter::fuzz::fuzz_message(&bytes);
        mailkiln_letter::fuzz::fuzz_css(&bytes);
    }

    #[test]
    fn pieces_of_messages_are_a_letter(pieces in prop::collection::vec(prop::sample::select(vec![
        "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: multipart/alternative; boundary=\"\"\r\n", "Content-Type: message/rfc822\r\n",
        "Content-Type: text/html; charset=utf-16\r\n", "Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "\r\n", "--b\r\n", "--b--\r\n",
        "From: =?utf-8?q?a=0d=0ab?= <a@b>\r\n", "Subject: =?x?b?", "AAAA", "=3D=", "\u{fffd}", "Reply-To: a:b;,\r\n", "Message-ID: <a b\r\n c>\r\n", "Content-Type: application/ms-tnef\r\n", "x\u{9f}>\"",
    ]), 0..25)) {
        mailkiln_letter::fuzz::fuzz_message(pieces.concat().as_bytes());
    }

    #[test]
    fn flowed_text_comes_back(text in "[a-z >]{0,30}( [a-z]{1,30}){0,30}(\n[a-z >-]{0,40}){0,4}") {
        let trimmed: Vec<&str> = text.lines().map(|line| if line == "-- " { line } else { line.trim_end() }).collect();
        let back = text::unflow(&text::flow(&text), false);
        let normal = |line: &str| -> String {
            let depth = line.bytes().take_while(|one| *one == b'>').count();
            format!("{}{}", ">".repeat(depth), line[depth..].trim())
        };
        let back: Vec<String> = back.lines().map(normal).collect();
        prop_assert_eq!(back, trimmed.iter().map(|one| normal(one)).collect::<Vec<_>>());
    }
}
