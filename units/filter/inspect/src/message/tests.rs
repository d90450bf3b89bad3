use super::*;
use proptest::prelude::*;

fn contents(message: &str) -> Vec<String> {
    let bytes = message.as_bytes();
    let leaves = split(bytes).leaves;
    leaves.iter().map(|leaf| String::from_utf8_lossy(&leaf.content(bytes)).into_owned()).collect()
}

#[test]
fn nested_multiparts_become_their_leaves() {
    let message = "From: a@b\r\nContent-Type: multipart/mixed; boundary=\"out\"\r\n\r\npreamble\r\n\
        --out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nplain\r\n\
        --in\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--in--\r\n\r\n--out\r\n\
        Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        aGVs\r\nbG8=\r\n--out--\r\nepilogue\r\n";
    assert_eq!(contents(message), ["plain", "<b>html</b>", "hello"]);
    let split = split(message.as_bytes());
    assert_eq!(split.leaves[2].name(), Some("a.zip"));
    assert_eq!(&message[split.outside[0].clone()], "preamble\r\n");
    assert_eq!(&message[split.outside[1].clone()], "epilogue\r\n");
    assert!(split.oddities.is_empty());
    // The range of a body is what a replacement may replace, and nothing more.
    assert_eq!(&message[split.leaves[2].body.clone()], "aGVs\r\nbG8=");
    assert!(message[split.leaves[2].body.end..].starts_with("\r\n--out--"));
}

#[test]
fn a_message_without_parts_is_one_leaf() {
    let message = "Subject: x\n\nbody\n";
    let leaf = &split(message.as_bytes()).leaves[0];
    assert!(leaf.is_whole);
    assert_eq!((leaf.header.clone(), leaf.body.clone()), (0..12, 12..17));
    assert_eq!(contents("Subject: no body"), [""]);
    assert_eq!(contents(""), [""]);
}

#[test]
fn names_are_decoded_however_they_are_written() {
    for (field, name) in [
        ("Content-Disposition: attachment; filename=\"a b.exe\"", "a b.exe"),
        ("Content-Disposition: attachment; filename=a.exe", "a.exe"),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%BC.exe", "ü.exe"),
        ("Content-Disposition: attachment; filename*0=\"in\"; filename*1=\".exe\"", "in.exe"),
        (
            "Content-Disposition: attachment;\r\n filename*0*=utf-8''%C3%BC;\r\n filename*1=.js",
            "ü.js",
        ),
        ("Content-Type: application/x; name=\"=?utf-8?B?w7wuanM=?=\"", "ü.js"),
        ("Content-Type: application/x; name==?iso-8859-1?Q?=FC=2Ejs?=", "ü.js"),
        ("Content-Type: application/x; NAME = 'x.js'", "'x.js'"),
        ("Content-Disposition: attachment; filename=\"a\\\"b.js\"", "a\"b.js"),
        (
            "Content-Description: x\r\nContent-Disposition: attachment; filename=inv oice.exe",
            "inv oice.exe",
        ),
    ] {
        let message = format!("{field}\r\n\r\nx");
        assert_eq!(split(message.as_bytes()).leaves[0].name(), Some(name), "{field}");
    }
}

#[test]
fn two_names_are_both_kept() {
    let message = "Content-Type: image/png; name=a.png\r\n\
        Content-Disposition: attachment; filename=a.exe\r\n\r\nx";
    assert_eq!(split(message.as_bytes()).leaves[0].names, ["a.exe", "a.png"]);
}

#[test]
fn what_programs_read_differently_is_odd() {
    let twice =
        "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na";
    assert!(split(twice.as_bytes()).oddities[0].contains("two Content-Type"));
    let missing = "Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\na";
    assert_eq!(split(missing.as_bytes()).oddities, ["a multipart has no boundary"]);
    let unused = "Content-Type: multipart/mixed; boundary=y\r\n\r\n--x\r\n\r\na";
    assert_eq!(split(unused.as_bytes()).oddities, ["no part of a multipart begins"]);
    let unknown = "Content-Transfer-Encoding: rot13\r\n\r\na";
    assert!(split(unknown.as_bytes()).oddities[0].contains("rot13"));
}

#[test]
fn multiparts_without_end_end_somewhere() {
    let mut message = String::new();
    for depth in 0..200 {
        message +=
            &format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    let split = split(message.as_bytes());
    assert_eq!(split.leaves.len(), 1);
    assert!(split.limits[0].contains("30 multiparts"));
}

#[test]
fn broken_base64_is_read_as_mail_programs_read_it() {
    for (body, expected) in [
        ("aGVs!!bG8=", "hello"),
        ("aGVsbG8", "hello"),
        ("aGVs\r\n\r\n bG8=\r\n", "hello"),
        ("aGU=bGxv", "hello"),
    ] {
        let message = format!("Content-Transfer-Encoding: BASE64\r\n\r\n{body}");
        assert_eq!(contents(&message), [expected], "{body}");
    }
    let quoted = "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc=zz =\n!";
    assert_eq!(contents(quoted), ["a=bc=zz !"]);
}

#[test]
fn uuencoded_files_in_text_are_found() {
    let text = b"see below\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\nbye\r\nbegin here\r\n";
    let found = uuencoded(text);
    assert_eq!(found, [("a.txt".to_owned(), b"Cat".to_vec())]);
}

proptest! {
    #[test]
    fn every_byte_has_one_place(parts in proptest::collection::vec("[a-z\r\n]{0,20}", 0..6)) {
        let mut message = "Content-Type: multipart/mixed; boundary=q\r\n\r\n".to_owned();
        for part in &parts { message += &format!("--q\r\n\r\n{part}\r\n"); }
        message += "--q--\r\n";
        let split = split(message.as_bytes());
        let mut ranges: Vec<_> = split.leaves.iter().map(|leaf| leaf.header.start..leaf.body.end).collect();
        ranges.extend(split.outside.iter().cloned());
        ranges.sort_by_key(|range| range.start);
        for pair in ranges.windows(2) { prop_assert!(pair[0].end <= pair[1].start); }
        prop_assert_eq!(split.leaves.len(), parts.len());
    }

    #[test]
    fn nothing_panics(message in proptest::collection::vec(any::<u8>(), 0..400)) {
        for leaf in split(&message).leaves { let _ = leaf.content(&message); }
    }
}
