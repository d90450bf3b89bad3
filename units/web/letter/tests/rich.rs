//! Rich text that is written: what is posted is hostile, what is sent is clean and has a plain half.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may stop where it stands")]

use mailkiln_letter::html::{Images, NoImages};
use mailkiln_letter::reading::{self, Letter};
use mailkiln_letter::writing::{self, Body, InlineImage, Outgoing, Recipient};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nxxxx";
/// The same, as a `data:` address.
const DATA: &str = "data:image/png;base64,iVBORw0KGgp4eHh4";

fn written(html: &str, images: &[&str]) -> Vec<u8> {
    let image = |id: &&str| InlineImage { content_id: (*id).to_owned(), data: PNG.to_vec() };
    let outgoing = Outgoing {
        from: Recipient { name: String::new(), address: "ann@a.example".into() },
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "Rich".into(),
        date: 1_795_770_000,
        offset: 0,
        message_id: writing::message_id(&[7; 16], "ann@a.example"),
        in_reply_to: Vec::new(),
        references: Vec::new(),
        body: Body::Rich { html: html.into(), images: images.iter().map(image).collect() },
        attachments: Vec::new(),
        is_draft: true,
    };
    outgoing.write().unwrap()
}

/// Type and depth of every part.
fn tree(letter: &Letter) -> Vec<(usize, &str)> {
    letter.parts.iter().map(|part| (part.depth, part.media_type.as_str())).collect()
}

fn html_of(letter: &Letter) -> String {
    writing::editable(letter, &NoImages).unwrap()
}

/// Shows images where they were.
struct Shown;

impl Images for Shown {
    fn remote(&self, _url: &str) -> Option<String> {
        None
    }
    fn inline(&self, content_id: &str) -> Option<String> {
        Some(format!("/here/{content_id}"))
    }
    fn is_ours(&self, _url: &str) -> bool {
        false
    }
}

#[test]
fn the_plain_half_comes_first_and_images_lie_beside_the_html() {
    let plain = reading::read(&written("<p>Hi <b>Bob</b></p>", &["unused@mail"]));
    assert_eq!(
        tree(&plain),
        [(0, "multipart/alternative"), (1, "text/plain"), (1, "text/html")],
        "an image that nobody sees is not sent"
    );
    let letter = reading::read(&written("<p>Hi<img src=\"cid:a+b=1@mail\"></p>", &["a+b=1@mail"]));
    assert_eq!(
        tree(&letter),
        [
            (0, "multipart/alternative"),
            (1, "text/plain"),
            (1, "multipart/related"),
            (2, "text/html"),
            (2, "image/png")
        ]
    );
    let shown = writing::shown_images(&letter);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].content_id.as_deref(), Some("a+b=1@mail"));
    let again = writing::editable(&letter, &Shown).unwrap_or_default();
    assert_eq!(
        again, "<p>Hi<img></p>",
        "an address that its maker does not vouch for is dropped again"
    );
}

#[test]
fn a_draft_that_is_taken_up_again_is_the_same() {
    let html = "<div>Grüße <b>an</b> alle, a line that is long enough to be folded by quoted-printable twice or more</div><div><br></div>";
    let mut again = html.to_owned();
    for _ in 0..3 {
        again = html_of(&reading::read(&written(&again, &[])));
        assert_eq!(again, html);
    }
}

#[test]
fn what_is_posted_is_cleaned() {
    let hostile = "<p onclick=x()>Words<script>alert(1)</script><img src=x onerror=x()></p>\
        <a href=\"javascript:x()\">a</a><a href=\"data:text/html,x\">b</a><iframe src=/mail></iframe><svg onload=x()></svg>\
        <img src=\"https://tracker.example/x.png\"><img src=\"cid:other@mail\"><form action=/sign-out><button>go</button></form>\
        <style>*{display:none}</style><math><mtext></form><form><mglyph><style></math><img src onerror=x()>\
        <img src=\"data:image/svg+xml;base64,PHN2Zz4=\"></p><!-- --><base href=//evil.example>";
    let bytes = written(hostile, &[]);
    let text = String::from_utf8(bytes.clone()).unwrap().to_lowercase();
    for words in [
        "script", "onclick", "onerror", "onload", "x()", "iframe", "svg", "tracker", "cid:",
        "form", "button", "style", "data:", "evil",
    ] {
        assert!(!text.replace("format=flowed", "").contains(words), "{words}: {text}");
    }
    assert!(text.contains("words"));
    assert_eq!(tree(&reading::read(&bytes)).len(), 3);
}

#[test]
fn images_in_the_html_become_parts() {
    let svg = "data:image/png;base64,PHN2Zz4=";
    let html =
        format!("<p>a<img src=\"{DATA}\" alt=\"x\">b<img src=\"{DATA}\"><img src=\"{svg}\"></p>");
    let bytes = written(&html, &[]);
    let letter = reading::read(&bytes);
    let images: Vec<_> = letter.parts.iter().filter(|part| part.is_image).collect();
    assert_eq!(images.len(), 2, "{:?}", tree(&letter));
    for image in images {
        assert_eq!(reading::content(&bytes, &image.id).unwrap(), PNG);
        assert!(image.content_id.as_deref().is_some_and(|id| id.ends_with("@a.example")));
    }
}

#[test]
fn ids_that_would_break_a_header_or_an_attribute_are_refused() {
    for (id, expected) in [
        ("0f3e-1@mail", true),
        ("part1.Ab+c=d$~_@x.test", true),
        ("", false),
        ("a b", false),
        ("a>\r\nBcc: x@y.test", false),
        ("a\"onerror=\"x", false),
        ("ä@mail", false),
        ("a%41", false),
    ] {
        assert_eq!(writing::is_content_id(id), expected, "{id}");
        let bytes = written(&format!("<img src='cid:{}'>x", id.replace('\'', "")), &[id]);
        let parts = reading::read(&bytes).parts.len();
        assert_eq!(parts, if expected { 5 } else { 3 }, "{id}");
    }
}

#[test]
fn text_becomes_html_and_text_again() {
    let text = "Hello\n\n> quoted <b>\n>> deeper\nhttps://example.org/?a=1&b=2\n\n-- \nAnn\n";
    let (body, signature) = text.split_once("-- \n").unwrap();
    let html = format!("{}{}", writing::text_for_editor(body), writing::rich_signature(signature));
    let letter = reading::read(&written(&html, &[]));
    let again = writing::plain_text(&letter);
    assert!(again.contains("> quoted <b>\n>> deeper\n"), "{again}");
    assert!(again.contains("https://example.org/?a=1&b=2"), "{again}");
    assert!(again.contains("\n-- \nAnn"), "{again}");
    assert!(html_of(&letter).contains("<blockquote>quoted &lt;b&gt;<blockquote>deeper"), "{html}");
}
