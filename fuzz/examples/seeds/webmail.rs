//! What the webmail reads: mail, filters, and what the mail server says.

use mailkiln_letter::sieve::{
    self, Action, Comparison, Field, Filters, Flag, Rule, Test, Vacation,
};

use crate::Seeds;

const CSS: &str = "color: #123; background: url(https://a.example/x.png) no-repeat; \
    font: 12px/1.2 'A', serif\0@media (max-width: 600px) { .a > b:hover, #c { width: calc(1px + 2%) !important } }";

const HTML: &str = "<!DOCTYPE html><style>@import 'x'; p.a { color: red }</style><p class=a style=\"margin:0\">Hello \
    <a href=\"https://a.example/?b=c\">you</a><img src=\"cid:1@a.example\" alt=x><table><tr><td>1</table><svg><script>x</script></svg>";

const IMAP: &str = "* OK [CAPABILITY IMAP4rev1 SORT THREAD=REFERENCES ID] ready\r\n\
    * LIST (\\HasNoChildren \\Sent) \"/\" \"Sent &AOQ-\"\r\n* STATUS INBOX (MESSAGES 3 UNSEEN 1 UIDNEXT 9)\r\n\
    * 1 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 120 INTERNALDATE \"28-Nov-2026 10:00:00 +0000\" \
    BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL)\
    (\"image\" \"png\" (\"name\" \"a.png\") NIL NIL \"base64\" 8 NIL (\"attachment\" (\"filename\" \"a.png\")) NIL NIL) \"mixed\" \
    (\"boundary\" \"x\") NIL NIL NIL) BODY[HEADER.FIELDS (FROM)] {17}\r\nFrom: a@b.test\r\n\r\n)\r\n\
    * ESEARCH (TAG \"a1\") UID ALL 1:3,7\r\n* THREAD (1)(2 (3)(4))\r\na1 OK [COPYUID 1 2 3] done\r\n\
    \"mailkiln\" ACTIVE\r\n{5}\r\nkeep;\r\nNO (QUOTA/MAXSIZE) \"too large\"\r\n";

const MESSAGE: &str = "From: \"b@c.example\" <a@b.example>\r\nTo: =?utf-8?q?J=C3=BCrgen?= <j@a.example>, b@a.example\r\n\
    Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@b.example>\r\n\
    References: <0@b.example>\r\nList-Unsubscribe: <mailto:l@b.example?subject=off>, <https://b.example/off>\r\n\
    Authentication-Results: mail.example; dkim=pass header.d=b.example; dmarc=fail\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
    --a\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    > Gr=C3=BC=C3=9Fe \r\n> you\r\n-- \r\nA\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>Hello <b>you</b>\r\n--a--\r\n\
    --m\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\n\
    DTSTART:20261128T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--m\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\
    Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--m--\r\n";

/// A script with everything that filters have.
fn filters() -> String {
    sieve::write(&Filters {
        included: Some("by hand".into()),
        blocked: vec!["bad@x.example".into(), "@spam.example".into()],
        junk_folder: "Junk Mail".into(),
        rules: vec![Rule {
            name: "Lists".into(),
            needs_all: true,
            tests: vec![
                Test::Header(Field::List, Comparison::Contains, "rust".into()),
                Test::Header(Field::Other("X-A".into()), Comparison::Matches, "a*?".into()),
                Test::LargerThan(100),
            ],
            actions: vec![
                Action::Flag(Flag::Seen),
                Action::FileInto("Lists/\"Rust\" ü".into()),
                Action::Forward("a@b.example".into(), true),
            ],
            stops: true,
            ..Rule::default()
        }],
        forward_to: vec!["c@d.example".into()],
        forward_keeps_copy: true,
        vacation: Some(Vacation {
            subject: "Away".into(),
            text: "Back on Monday.\n.\n\"}".into(),
            from: Some("2026-12-24".into()),
            until: Some("2027-01-01".into()),
            days: 7,
            ..Vacation::default()
        }),
    })
}

pub(crate) fn seeds() -> Seeds {
    let texts =
        [("web_css", CSS), ("web_html", HTML), ("web_imap", IMAP), ("web_message", MESSAGE)];
    let mut seeds: Seeds = texts.map(|(target, text)| (target, text.as_bytes().to_vec())).to_vec();
    seeds.push(("web_sieve", filters().into_bytes()));
    seeds
}
