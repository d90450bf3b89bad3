//! What a form writes: read back by the reader, it is what was written, and nothing else.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

use mail_parser::{MessageParser, MimeHeaders};
use mailkiln_letter::html::{NoImages, Policy};
use mailkiln_letter::reading;
use mailkiln_letter::writing::{self, Attachment, Body, InlineImage, Outgoing, Recipient};
use proptest::prelude::*;

fn outgoing() -> Outgoing {
    Outgoing {
        from: Recipient { name: "Ann".into(), address: "ann@a.example".into() },
        to: vec![Recipient { name: String::new(), address: "bob@b.example".into() }],
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "Hello".into(),
        date: 1_795_770_000,
        offset: 60,
        message_id: writing::message_id(&[7; 16], "ann@a.example"),
        in_reply_to: Vec::new(),
        references: Vec::new(),
        body: Body::Plain("Hi\n".into()),
        attachments: Vec::new(),
        is_draft: false,
    }
}

#[test]
fn a_plain_message_is_plain() {
    let text = String::from_utf8(outgoing().write().unwrap()).unwrap();
    assert_eq!(
        text,
        "Date: Fri, 27 Nov 2026 10:00:00 +0100\r\nFrom: Ann <ann@a.example>\r\nTo: bob@b.example\r\nSubject: Hello\r\n\
         Message-ID: <07070707070707070707070707070707@a.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; format=flowed; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHi\r\n"
    );
}

/// Class 23: no value from outside makes a field, a part or a line of SMTP.
#[test]
fn values_stay_in_their_places() {
    let evil = "x\r\nBcc: victim@v.example\r\n\r\n<script>\r.\r\n\n.\n\0=?utf-8?q?=0d=0a?= \"\\\r";
    let mut mail = outgoing();
    mail.subject = evil.into();
    mail.from.name = evil.into();
    mail.to[0].name = evil.into();
    mail.in_reply_to = vec![format!("a@b>{evil}"), "good@b.example".into()];
    mail.references = vec!["a\r\nX: y".into()];
    mail.body = Body::Plain(evil.into());
    mail.attachments = vec![Attachment {
        name: evil.into(),
        media_type: format!("text/x\r\n{evil}"),
        data: b"\r\n.\r\nQUIT\r\n".to_vec(),
    }];
    let bytes = mail.write().unwrap();
    let names: Vec<String> =
        reading::header_lines(&bytes).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "In-Reply-To",
            "MIME-Version",
            "Content-Type"
        ]
    );
    let letter = reading::read(&bytes);
    assert_eq!(letter.headers.in_reply_to, ["good@b.example"]);
    assert_eq!(letter.attachments().count(), 1);
    assert!(!bytes.windows(5).any(|five| five == b"\r\n.\r\n"), "no line of a dot alone");
    let bare = bytes.iter().enumerate().any(|(at, one)| match one {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    assert!(!bare && !bytes.contains(&0));
    mail.to[0].address = "a@b.example>\r\nX: y".into();
    assert!(mail.write().is_err());
}

#[test]
fn blind_copies_are_in_the_envelope_alone() {
    let mut mail = outgoing();
    mail.bcc = vec![Recipient { name: "Boss".into(), address: "boss@c.example".into() }];
    assert_eq!(mail.envelope(), ["bob@b.example", "boss@c.example"]);
    assert!(!String::from_utf8(mail.write().unwrap()).unwrap().contains("boss"));
    mail.is_draft = true;
    let draft = mail.write().unwrap();
    assert!(String::from_utf8(draft.clone()).unwrap().contains("Bcc: Boss <boss@c.example>\r\n"));
    mail.is_draft = false;
    assert_eq!(writing::without_bcc(&draft), mail.write().unwrap());
    let folded = b"To: a\r\nbCC: x,\r\n y\r\nSubject: z\r\n\r\nBcc: body\r\n";
    assert_eq!(writing::without_bcc(folded), b"To: a\r\nSubject: z\r\n\r\nBcc: body\r\n");
}

#[test]
fn what_waited_is_dated_when_it_is_sent() {
    let mut mail = outgoing();
    mail.bcc = vec![Recipient { name: String::new(), address: "boss@c.example".into() }];
    mail.body = Body::Plain("Date: stays\n".into());
    mail.is_draft = true;
    let sent = writing::for_sending(&mail.write().unwrap(), mail.date + 3600, 0).unwrap();
    mail.is_draft = false;
    mail.date += 3600;
    mail.offset = 0;
    assert_eq!(sent, mail.write().unwrap());
}

#[test]
fn rich_text_has_a_plain_half_images_and_files() {
    let png = b"\x89PNG\r\n\x1a\nxxxx".to_vec();
    let mut mail = outgoing();
    mail.body = Body::Rich {
        html: "<p>Grüße <b>an</b> alle<img src='cid:i1@x' onerror=1></p><script>x</script>".into(),
        images: vec![
            InlineImage { content_id: "i1@x".into(), data: png.clone() },
            InlineImage { content_id: "unused".into(), data: png.clone() },
        ],
    };
    mail.attachments = vec![
        Attachment { name: "Übersicht mit einem sehr langen Namen, der über eine Zeile hinausgeht – Jahr 2026.pdf".into(), media_type: "application/pdf".into(), data: vec![0, 255, 13, 10] },
        Attachment { name: "old.eml".into(), media_type: "message/rfc822".into(), data: b"Subject: old\n\nbody\n".to_vec() },
    ];
    let bytes = mail.write().unwrap();
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim(), "Grüße an alle");
    let html = parsed.body_html(0).unwrap();
    assert!(
        html.contains("<p>Grüße <b>an</b> alle<img src=\"cid:i1@x\"></p>")
            && !html.contains("script"),
        "{html}"
    );
    let letter = reading::read(&bytes);
    let names: Vec<&str> = letter.attachments().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names[1..3],
        [
            "Übersicht mit einem sehr langen Namen, der über eine Zeile hinausgeht – Jahr 2026.pdf",
            "old.eml"
        ]
    );
    assert_eq!(letter.by_content_id("i1@x").map(|one| one.is_image), Some(true));
    let pdf = letter.attachments().nth(1).unwrap();
    assert_eq!(reading::content(&bytes, &pdf.id).unwrap(), [0, 255, 13, 10]);
    assert!(bytes.split(|one| *one == b'\n').all(|line| line.len() <= 79), "no line over 78");
    assert_eq!(parsed.attachments().filter(|one| one.attachment_name().is_some()).count(), 2);
}

#[test]
fn recipients_are_read_as_people_write_them() {
    let read = |field: &str| {
        writing::recipients(field)
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        read("Ann <ann@a.example>, \"Last, \\\"F\\\"\" <b@b.example>; c@münchen.example\nANN@a.example,,").unwrap(),
        ["\"Ann\" <ann@a.example>", "\"Last, \\\"F\\\"\" <b@b.example>", "c@xn--mnchen-3ya.example"]
    );
    for bad in [
        "ann",
        "a b@c.example",
        "<script>@x",
        "a@b c",
        "a@b\r\nX",
        "@x.example",
        "a@-x.example",
        "a..b@x.example",
    ] {
        assert!(writing::recipients(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_go_to_the_right_people() {
    let mail = "From: Ann <ann@a.example>\r\nTo: Me <me@m.example>, Bob <bob@b.example>\r\nCc: ME@m.example, cat@c.example\r\nSubject: AW: Re: Tea\r\n\
        Message-ID: <2@a.example>\r\nReferences: <0@a.example> <1@a.example>\r\n\r\nOne\r\n> two\r\n-- \r\nAnn\r\n";
    let letter = reading::read(mail.as_bytes());
    let own = ["me@m.example".to_owned()];
    let addresses =
        |list: &[Recipient]| list.iter().map(|one| one.address.clone()).collect::<Vec<_>>();
    let one = writing::answer(&letter, false, &own);
    assert_eq!(
        (addresses(&one.to), addresses(&one.cc)),
        (vec!["ann@a.example".to_owned()], vec![])
    );
    assert_eq!(
        (one.subject.as_str(), one.in_reply_to, one.references),
        (
            "Re: Tea",
            vec!["2@a.example".to_owned()],
            vec!["0@a.example".into(), "1@a.example".into(), "2@a.example".into()]
        )
    );
    let all = writing::answer(&letter, true, &own);
    assert_eq!(
        (addresses(&all.cc), all.was_blind),
        (vec!["bob@b.example".to_owned(), "cat@c.example".into()], false)
    );
    assert!(writing::answer(&letter, true, &["other@o.example".into()]).was_blind);
    assert_eq!(
        addresses(&writing::answer(&letter, false, &["ann@a.example".into()]).to),
        ["me@m.example", "bob@b.example"]
    );
    assert_eq!(
        writing::quoted_text(&letter, "Ann\r\nX: wrote:"),
        "Ann  X: wrote:\n> One\n>> two\n"
    );
    assert_eq!(writing::forward(&letter).subject, "Fwd: AW: Re: Tea");
}

/// Class 19: a hostile quote on its way into the editor.
#[test]
fn a_hostile_quote_is_clean_in_the_editor() {
    let mail = "Content-Type: text/html\r\n\r\n<style>p{color:red}</style><p style='position:fixed' onclick=1>x<img src=http://e.example/></p><script>1</script></blockquote><a href=javascript:1>y</a>";
    let letter = reading::read(mail.as_bytes());
    let quote = writing::quoted_html(&letter, "<b>Ann</b> wrote:", &Policy::showing(&NoImages));
    assert_eq!(
        quote,
        "<p>&lt;b&gt;Ann&lt;/b&gt; wrote:</p><blockquote><p>x<img class=\"mk-blocked\"></p><a>y</a></blockquote>"
    );
}

proptest! {
    #[test]
    fn headers_come_back(subject in "\\PC{0,200}", name in "\\PC{0,100}") {
        let mut mail = outgoing();
        mail.subject.clone_from(&subject);
        mail.from.name.clone_from(&name);
        let bytes = mail.write().unwrap();
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        let plain = |text: &str| text.split([' ', '\u{2028}', '\u{2029}']).filter(|one| !one.is_empty()).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(parsed.subject().unwrap_or_default(), plain(&subject));
        prop_assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("ann@a.example"));
        prop_assert_eq!(parsed.from().unwrap().first().unwrap().name().unwrap_or_default().trim().to_owned(), plain(&name).trim().to_owned());
        prop_assert!(bytes.split(|one| *one == b'\n').all(|line| line.len() <= 999));
    }

    #[test]
    fn texts_come_back(text in "([ -~äöü€]{0,120}\n){0,6}") {
        let mut mail = outgoing();
        mail.body = Body::Plain(text.clone());
        let letter = reading::read(&mail.write().unwrap());
        let lines = |text: &str| text.lines().map(|one| one.trim_end().trim_start_matches(['>', ' ']).to_owned()).collect::<Vec<_>>();
        let back = writing::plain_text(&letter);
        prop_assert_eq!(lines(back.trim_end()), lines(text.trim_end()));
    }

    #[test]
    fn names_of_files_come_back(name in "[\\PC&&[^/\\\\<>:\"|?*. \u{ad}\u{200b}-\u{206f}]]{1,60}") {
        let mut mail = outgoing();
        mail.attachments = vec![Attachment { name: name.clone(), media_type: "application/pdf".into(), data: Vec::new() }];
        let letter = reading::read(&mail.write().unwrap());
        let names: Vec<String> = letter.attachments().map(|one| one.name.clone()).collect();
        prop_assert_eq!(names, [reading::safe_name(Some(&name), "application/pdf")]);
    }
}
