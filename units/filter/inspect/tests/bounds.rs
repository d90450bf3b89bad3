//! Every limit is kept: what explodes, nests without end or takes long ends as a finding.

mod made;

use std::time::{Duration, Instant};

use made::archives::{self, zip};
use made::{RULES, message, report};
use mailkiln_inspect::{Class, Limits, inspect};

fn reasons(message: &[u8], limits: &Limits) -> Vec<String> {
    let findings = report(message, limits).findings;
    assert!(findings.iter().all(|finding| finding.class == Class::Limit), "{findings:?}");
    findings.into_iter().map(|finding| finding.reason).collect()
}

#[test]
fn bombs_stop_at_their_ratio() {
    let zeros = vec![0; 40 << 20];
    for (name, bomb) in [
        ("a.zip", zip(&[("a", &zeros)])),
        ("a.gz", archives::gzip(&zeros)),
        ("a.bz2", archives::bzip2(&zeros)),
        ("a.xz", archives::xz(&zeros)),
        ("a.zst", archives::zstd(&zeros)),
        ("a.7z", archives::sevenzip(&[("a", &zeros)])),
        ("a.rar", archives::rar(&[("a", &zeros)], rars::ArchiveVersion::Rar50, false)),
    ] {
        assert_eq!(
            reasons(&message(name, &bomb), &Limits::default()),
            ["it unpacks to more than 250 times its size"],
            "{name}"
        );
    }
}

#[test]
fn depth_ends() {
    let mut archive = zip(&[("a.txt", b"x")]);
    for _ in 0..20 {
        archive = zip(&[("a.zip", &archive)]);
    }
    assert_eq!(
        reasons(&message("a.zip", &archive), &Limits::default()),
        ["more than 12 things inside each other"]
    );
}

#[test]
fn messages_in_messages_end() {
    let mut inner = message("a.txt", b"x");
    for _ in 0..20 {
        inner =
            [b"From: a@b\r\nSubject: x\r\nContent-Type: message/rfc822\r\n\r\n".as_slice(), &inner]
                .concat();
    }
    assert_eq!(reasons(&inner, &Limits::default()), ["more than 12 things inside each other"]);
}

#[test]
fn entries_end() {
    let names: Vec<String> = (0..300).map(|number| format!("{number}.txt")).collect();
    let members: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    let limits = Limits { entries: 100, ..Limits::default() };
    for archive in [zip(&members), archives::tar(&members)] {
        assert_eq!(
            reasons(&message("a.bin", &archive), &limits),
            ["there are more than 100 things in it"]
        );
    }
}

#[test]
fn bytes_end() {
    let noise: Vec<u8> =
        (0..1u32 << 20).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let archive = zip(&[("a", &noise), ("b", &noise), ("c", &noise)]);
    let limits = Limits { bytes: 2 << 20, ..Limits::default() };
    assert!(
        reasons(&message("a.zip", &archive), &limits)[0]
            .starts_with("the message unpacks to more than")
    );
    let limits = Limits { part_bytes: 1 << 19, ..Limits::default() };
    assert_eq!(
        reasons(&message("a.zip", &archive), &limits)[0],
        "it unpacks to more than 524288 bytes"
    );
}

#[test]
fn the_deadline_is_kept() {
    let archive = zip(&[("a.txt", &vec![b'x'; 1 << 20])]);
    let from = Instant::now();
    let report = inspect(&message("a.zip", &archive), &Limits::default(), &RULES, from);
    assert_eq!(report.findings[0].reason, "the time for one message is over");
    let limits = Limits { time: Duration::ZERO, ..Limits::default() };
    assert_eq!(reasons(&message("a.zip", &archive), &limits), ["the time for one message is over"]);
}

#[test]
fn the_same_message_gives_the_same_report() {
    let archive = zip(&[("a.exe", b"x"), ("b.js", b"y"), ("c.pdf.lnk", b"z")]);
    let message = message("a.zip", &archive);
    assert_eq!(report(&message, &Limits::default()), report(&message, &Limits::default()));
}
