//! Filters and scripts: what a form holds comes back, and no text leaves its quotes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

use mailkiln_letter::sieve::{
    self, Action, Comparison, Field, Filters, Flag, NotOurs, Rule, Test, Vacation,
};
use proptest::prelude::*;

fn filters() -> Filters {
    Filters {
        included: Some("by hand".into()),
        blocked: vec!["bad@x.example".into(), "@spam.example".into()],
        junk_folder: "Junk Mail".into(),
        rules: vec![
            Rule {
                name: "Lists".into(),
                needs_all: true,
                tests: vec![
                    Test::Header(Field::List, Comparison::Contains, "rust".into()),
                    Test::Header(Field::Recipients, Comparison::Lacks, "me".into()),
                    Test::LargerThan(100),
                ],
                actions: vec![
                    Action::Flag(Flag::Seen),
                    Action::FileInto("Lists/\"Rust\" ü".into()),
                    Action::Forward("a@b.example".into(), true),
                ],
                stops: true,
                ..Rule::default()
            },
            Rule {
                name: "Off".into(),
                is_off: true,
                tests: vec![Test::SmallerThan(1)],
                actions: vec![Action::Discard],
                ..Rule::default()
            },
            Rule {
                name: "All".into(),
                actions: vec![Action::Flag(Flag::Flagged)],
                ..Rule::default()
            },
        ],
        forward_to: vec!["c@d.example".into()],
        forward_keeps_copy: true,
        vacation: Some(Vacation {
            subject: "Away".into(),
            text: "Back on Monday.\n.\nkeep;\n\"}".into(),
            from: Some("2026-12-24".into()),
            until: Some("2027-01-01".into()),
            days: 7,
            addresses: vec!["me@m.example".into()],
            is_off: false,
        }),
    }
}

#[test]
fn a_script_says_what_the_form_says() {
    let script = sieve::write(&filters());
    assert!(filters().check().is_ok());
    assert_eq!(sieve::read(&script), Ok(filters()));
    assert!(script.contains("require [\"include\", \"fileinto\", \"imap4flags\", \"copy\", \"vacation\", \"date\", \"relational\"];"), "{script}");
    assert!(script.contains("include :personal :optional \"by hand\";"));
    assert!(!sieve::write(&Filters::default()).contains("require"));
}

#[test]
fn what_others_wrote_is_not_ours() {
    let mut script = sieve::write(&filters());
    for foreign in ["keep;", "# Written by me\nkeep;", "if {"] {
        assert_eq!(sieve::read(foreign), Err(NotOurs));
    }
    assert_eq!(sieve::read(""), Ok(Filters::default()));
    script.push_str("keep;\n");
    assert_eq!(sieve::read(&script), Err(NotOurs), "what was added by hand would be lost");
}

#[test]
fn what_a_server_would_refuse_is_said_before() {
    let with = |change: &dyn Fn(&mut Filters)| {
        let mut filters = filters();
        change(&mut filters);
        filters.check().unwrap_err().to_string()
    };
    assert_eq!(with(&|one| one.forward_to = vec!["a b".into()]), "`a b` is not a mail address");
    assert_eq!(
        with(&|one| one.rules[0].actions = vec![Action::FileInto(" ".into())]),
        "the rule `Lists` files into no folder; choose one"
    );
    assert_eq!(
        with(&|one| one.rules[2].actions.clear()),
        "the rule `All` does nothing; choose an action"
    );
    assert_eq!(
        with(&|one| one.rules[0].tests =
            vec![Test::Header(Field::Other("X: y".into()), Comparison::Is, String::new())]),
        "`X: y` is not the name of a header field; use letters, digits and hyphens"
    );
    for size in [Test::LargerThan(0), Test::SmallerThan(0)] {
        assert_eq!(
            with(&|one| one.rules[0].tests = vec![size.clone()]),
            "a size is a number of KiB, 1 or more, such as 5120"
        );
    }
    assert_eq!(
        with(&|one| one.vacation.as_mut().unwrap().from = Some("2026-02-30".into())),
        "`2026-02-30` is not a date; write it as 2026-12-24"
    );
    assert!(
        with(&|one| one.vacation.as_mut().unwrap().until = Some("2026-01-01".into()))
            .contains("before it begins")
    );
}

proptest! {
    /// Class 24.
    #[test]
    fn no_text_leaves_its_quotes(text in "(\\PC|[$%]\\{|\\$\\{hex:5c\\}|[\"\\\\\r\n\0;{}#.]|/\\*|text:){0,60}") {
        mailkiln_letter::fuzz::fuzz_sieve(text.as_bytes());
        let mut given = filters();
        given.rules[0].tests = vec![Test::Header(Field::From, Comparison::Is, text.clone())];
        given.vacation.as_mut().unwrap().text.clone_from(&text);
        given.included = Some(text.clone());
        given.junk_folder.clone_from(&text);
        let plain = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
        let back = sieve::read(&sieve::write(&given)).unwrap();
        prop_assert_eq!(&back.vacation.unwrap().text, &plain);
        prop_assert_eq!(&back.junk_folder, &plain);
        prop_assert_eq!(back.rules.len(), 3);
    }

    #[test]
    fn any_script_is_read_or_refused(text in "(if|require|true|\\(|\\)|\\{|\\}|;|\\[|\\]|\"|:is|,|#| |\n|text:|9K){0,60}") {
        let _ = sieve::read(&format!("{}{text}", "# Written by the webmail. Change it there: what is written here by hand is lost.\n"));
    }
}
