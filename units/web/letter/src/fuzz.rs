//! One function per reader, for fuzzers. Each takes any bytes and panics if a promise is broken.

use crate::html::{self, NoImages, Policy};
use crate::{reading, sieve, writing};

/// HTML: never panics, settles, and leaves no element that isn't allowed.
pub fn fuzz_html(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let once = html::clean(&text, &Policy::showing(&NoImages));
    let twice = html::clean(&once.html(), &Policy::showing(&NoImages));
    assert_eq!(once.body, twice.body, "cleaning twice is cleaning once");
    assert_eq!(once.style, twice.style, "cleaning twice is cleaning once");
    assert!(!once.style.contains('<'), "a style sheet can't end early");
    let _ = html::to_text(&text);
}

/// CSS: never panics, settles, fetches nothing.
pub fn fuzz_css(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let policy = Policy::showing(&NoImages);
    let sheet = html::clean_style_sheet(&text, &policy);
    assert_eq!(html::clean_style_sheet(&sheet, &policy), sheet, "cleaning twice is cleaning once");
    let declarations = html::clean_declarations(&text, &policy);
    assert_eq!(
        html::clean_declarations(&declarations, &policy),
        declarations,
        "cleaning twice is cleaning once"
    );
    for out in [&sheet, &declarations] {
        let fetches = ["url(", "image-set", "@import", "@font-face", "\\", "<", "/*"];
        assert!(!fetches.iter().any(|one| out.contains(one)), "{out}");
    }
}

/// A message: never panics; every part that is listed can be opened; an answer to it parses again.
pub fn fuzz_message(bytes: &[u8]) {
    let letter = reading::read(bytes);
    for part in letter.parts.iter().take(20) {
        assert!(reading::content(bytes, &part.id).is_ok(), "part {}", part.id);
        assert_eq!(part.id.to_string().parse().as_ref(), Ok(&part.id));
        assert!(!part.name.contains(['/', '\\', '\0', '\r', '\n']), "{}", part.name);
        if part.is_message {
            let _ = reading::read_nested(bytes, &part.id);
        }
    }
    let _ = reading::show(&letter, reading::Preference::Html, &Policy::showing(&NoImages));
    let _ = reading::show(&letter, reading::Preference::Text, &Policy::showing(&NoImages));
    let _ = (
        reading::unsubscribe(bytes),
        reading::authentication(bytes, "mail.example"),
        reading::spam(bytes),
    );
    let _ = (reading::header_lines(bytes), reading::read_tnef(bytes));
    let answer = writing::answer(&letter, true, &[]);
    let from = writing::Recipient {
        name: letter.headers.subject.clone(),
        address: "me@example.com".into(),
    };
    let written = writing::Outgoing {
        from,
        to: answer.to,
        cc: answer.cc,
        bcc: Vec::new(),
        reply_to: None,
        subject: answer.subject,
        date: 0,
        offset: 0,
        message_id: writing::message_id(&[1, 2, 3], "me@example.com"),
        in_reply_to: answer.in_reply_to,
        references: answer.references,
        body: writing::Body::Plain(writing::quoted_text(&letter, "Alice wrote:")),
        attachments: Vec::new(),
        is_draft: false,
    };
    let bytes = written.write();
    let bytes = bytes.as_deref().unwrap_or_default();
    assert!(!bytes.is_empty(), "an answer can always be written");
    let names = [
        "Date",
        "From",
        "To",
        "Cc",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    for (name, _) in reading::header_lines(bytes) {
        assert!(names.contains(&name.as_str()), "a value has made a field: {name}");
    }
}

/// A Sieve script: never panics; what is read is written as it was.
pub fn fuzz_sieve(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(filters) = sieve::read(&text)
        && !text.trim().is_empty()
    {
        assert_eq!(sieve::read(&sieve::write(&filters)), Ok(filters), "reading and writing agree");
    }
    // The same bytes as the texts of a rule: they stay inside their quotes.
    let rule = sieve::Rule {
        name: text.to_string(),
        tests: vec![sieve::Test::Header(
            sieve::Field::Subject,
            sieve::Comparison::Contains,
            text.to_string(),
        )],
        actions: vec![sieve::Action::FileInto(text.to_string())],
        ..sieve::Rule::default()
    };
    let filters = sieve::Filters { rules: vec![rule], ..sieve::Filters::default() };
    let script = sieve::write(&filters);
    let again = sieve::read(&script);
    let rules = again.as_ref().map(|one| one.rules.len());
    assert_eq!(rules, Ok(1), "{script}");
}
