//! Parts that are taken out of a message: each becomes a text that says what was there.
//!
//! In: a message and the findings whose parts go. Out: changes in which every other byte stays. A
//! DKIM signature of the sender does not fit any more; the mail server has checked it by then, and
//! says so in `Authentication-Results`.

use std::collections::BTreeMap;

use mailkiln_inspect::{Finding, message};

use super::marks::ascii;
use super::{body_start, fields};
use crate::milter::answer::Changes;

/// The fields that describe a body; RFC 2045 and 2183.
const DESCRIPTION: [&[u8]; 5] = [
    b"content-type",
    b"content-transfer-encoding",
    b"content-disposition",
    b"content-id",
    b"content-description",
];
const TYPE: &str = "text/plain; charset=us-ascii";
const ENCODING: &str = "7bit";
const DISPOSITION: &str = "inline; filename=\"removed.txt\"";

/// The changes that take out the parts which the findings with the indices `stripped` are in.
pub fn changes(bytes: &[u8], findings: &[Finding], stripped: &[usize]) -> Changes {
    let mut reasons: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
    for finding in stripped.iter().filter_map(|index| findings.get(*index)) {
        if let Some(part) = finding.part {
            reasons.entry(part as usize).or_default().push(finding);
        }
    }
    let mut changes = Changes::default();
    let mut edited = Vec::with_capacity(bytes.len());
    let mut copied = body_start(bytes);
    for (part, leaf) in message::split(bytes).leaves.iter().enumerate() {
        let Some(findings) = reasons.get(&part) else { continue };
        let text = text(findings);
        if leaf.is_whole {
            let header = bytes.get(..copied).unwrap_or_default();
            describe(&mut changes, header);
            edited = text.into_bytes();
            copied = bytes.len();
            break;
        }
        edited.extend_from_slice(bytes.get(copied..leaf.header.start).unwrap_or_default());
        let header = format!(
            "Content-Type: {TYPE}\r\nContent-Transfer-Encoding: {ENCODING}\r\n\
             Content-Disposition: {DISPOSITION}\r\n\r\n"
        );
        edited.extend_from_slice(header.as_bytes());
        edited.extend_from_slice(text.as_bytes());
        copied = leaf.body.end;
    }
    edited.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    changes.body = Some(edited);
    changes
}

/// The message is one part, and its own header describes that.
fn describe(changes: &mut Changes, header: &[u8]) {
    for (name, _) in fields(header) {
        let bare = name.trim_ascii().to_ascii_lowercase();
        if DESCRIPTION.contains(&bare.as_slice()) {
            changes.remove.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    for (name, value) in [
        ("Content-Disposition", DISPOSITION),
        ("Content-Transfer-Encoding", ENCODING),
        ("Content-Type", TYPE),
    ] {
        changes.add.push((name.to_owned(), value.to_owned()));
    }
}

fn text(findings: &[&Finding]) -> String {
    let mut text =
        "A part of this message was removed by the mail server's filter.\r\n\r\n".to_owned();
    for finding in findings {
        text.push_str(&format!("  {}\r\n", ascii(&finding.to_string())));
    }
    text.push_str(
        "\r\nIt can't be had back from here. Ask the sender for another way, or the administrator\r\n\
         of your mail server to let such parts pass ([filter] in mail.toml).\r\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use mailkiln_inspect::Class;

    use super::*;

    fn finding(part: u32) -> Finding {
        Finding {
            class: Class::Executable,
            part: Some(part),
            place: vec!["ä.exe".into()],
            reason: "a program".into(),
        }
    }

    #[test]
    fn one_part_goes_and_every_other_byte_stays() {
        let before = "From: a\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n\
                      --x\r\n\r\nhello \r\n.\r\n--x\r\n";
        let after = "\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>\n\n--x--\r\nepilogue";
        let evil = "Content-Type: application/x-msdownload; name=a.exe\r\n\
                    Content-Transfer-Encoding: base64\r\n\r\nTVqQ\r\nAAAA";
        let message = format!("{before}{evil}{after}");
        let changes = changes(message.as_bytes(), &[finding(1)], &[0]);
        assert!(changes.remove.is_empty() && changes.add.is_empty());
        let body = String::from_utf8(changes.body.unwrap()).unwrap();
        let start = body_start(message.as_bytes());
        let rest = body.strip_prefix(&before[start..]).unwrap().strip_suffix(after).unwrap();
        assert!(rest.starts_with("Content-Type: text/plain"), "{rest}");
        assert!(rest.contains("executable: a program (\\u{e4}.exe)"), "{rest}");
        assert!(!rest.contains("TVqQ"));
    }

    #[test]
    fn a_message_that_is_the_part_gets_another_body_and_description() {
        let message = b"From: a\r\ncontent-type : application/x-msdownload\r\n\
                        Content-Transfer-Encoding: base64\r\n\r\nTVqQ\r\n";
        let changes = changes(message, &[finding(0), finding(0)], &[1]);
        assert_eq!(changes.remove, ["content-type ", "Content-Transfer-Encoding"]);
        assert_eq!(changes.add.last().unwrap().1, TYPE);
        let body = String::from_utf8(changes.body.unwrap()).unwrap();
        assert!(body.starts_with("A part of this message") && !body.contains("TVqQ"), "{body}");
    }
}
