//! IMAP servers that stall, lie, drop and flood. Each ends in an error that names what happened, in
//! bounded time and memory, or leaves a session that can be used.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

mod support;

use std::time::{Duration, Instant};

use mailkiln_servers::answer::Limits;
use mailkiln_servers::imap::{Change, Session};
use mailkiln_servers::{Credentials, Error};
use support::scripted::{Played, Scripted};

const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN MOVE UIDPLUS IDLE BINARY";

fn limits() -> Limits {
    Limits { silence: 1, patience: 3, command: 4 << 20, literal: 1 << 20, ..Limits::default() }
}

fn credentials() -> Credentials {
    Credentials::Password { user: "alice".into(), password: "secret".into() }
}

/// Signs in at a server that then answers each command by `answer`.
async fn session<F>(answer: F) -> (Session, Scripted)
where
    F: Fn(&str, &str) -> Played + Send + Sync + 'static,
{
    let server = Scripted::start(
        format!("* OK [CAPABILITY {CAPABILITIES}] here\r\n"),
        move |tag, command| match command.split(' ').next() {
            Some("AUTHENTICATE") => format!("{tag} OK [CAPABILITY {CAPABILITIES}] in\r\n").into(),
            _ => answer(tag, command),
        },
    )
    .await;
    let opened = Session::open(&server.endpoint(), None, &credentials(), limits()).await;
    (opened.unwrap(), server)
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let begin = Instant::now();
    let (mut session, _server) = session(|_, _| Played::Stall).await;
    let error = session.folders().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert!(!session.is_usable());
    let again = session.folders().await.unwrap_err();
    assert!(matches!(again, Error::Closed { .. }), "{again}");
}

#[tokio::test]
async fn a_server_that_drips_is_given_up() {
    let begin = Instant::now();
    let (mut session, _server) = session(|_, _| Played::Drip).await;
    let error = session.folders().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { seconds: 3, .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn literals_that_lie_are_errors() {
    let (mut huge, _server) =
        session(|_, _| "* 1 FETCH (UID 1 BODY[] {4294967295}\r\nabc".into()).await;
    let error = huge.section(1, "").await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    let (mut short, _server) =
        session(|_, _| Played::Close("* 1 FETCH (UID 1 BODY[] {1000}\r\nabc".into())).await;
    let error = short.section(1, "").await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    // More bytes than were counted are read as a line, which then makes no sense.
    let (mut long, _server) = session(|tag, _| {
        format!("* 1 FETCH (UID 1 BODY[] {{3}}\r\nabcdef(((\r\n{tag} OK\r\n").into()
    })
    .await;
    let error = long.section(1, "").await.unwrap_err();
    assert!(matches!(error, Error::Refused { ref code, .. } if code == "NONEXISTENT"), "{error}");
    assert!(long.is_usable());
}

#[tokio::test]
async fn a_whole_message_is_kept_up_to_the_bound_of_its_caller_alone() {
    const SIZE: usize = 3 << 20;
    let serve = |said: usize| {
        move |tag: &str, command: &str| {
            let row = if command.contains("RFC822.SIZE") {
                format!("RFC822.SIZE {said}")
            } else {
                format!("BODY[] {{{SIZE}}}\r\n{}", "x".repeat(SIZE))
            };
            Played::from(format!("* 1 FETCH (UID 1 {row})\r\n{tag} OK done\r\n"))
        }
    };
    // Larger than the limit of a literal.
    let (mut session, _server) = session(serve(SIZE)).await;
    assert_eq!(session.whole(1, SIZE as u64).await.unwrap().len(), SIZE);
    assert!(matches!(session.whole(2, SIZE as u64).await, Err(Error::Refused { .. })));
    let error = session.whole(1, SIZE as u64 - 1).await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    assert!(session.is_usable(), "the message was not asked for");
    let (mut liar, _server) = self::session(serve(10)).await;
    let error = liar.whole(1, SIZE as u64 - 1).await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    assert!(!liar.is_usable());
}

#[tokio::test]
async fn floods_end_at_the_budget() {
    let (mut session, _server) = session(|_, _| Played::Flood("* 5 FETCH (FLAGS ())\r\n")).await;
    let error = session.window(1, 50).await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    let (mut session, _server) = self::session(|_, _| Played::Flood("xxxxxxxxxxxxxxxx")).await;
    let error = session.window(1, 50).await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    let (mut session, _server) = self::session(|_, _| Played::Flood("+ go on\r\n")).await;
    assert!(session.window(1, 50).await.is_err());
}

#[tokio::test]
async fn a_message_of_ten_thousand_parts_is_cut() {
    let part = "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 10 1)";
    let parts = part.repeat(10_000);
    let (mut session, _server) = session(move |tag, _| {
        format!("* 1 FETCH (UID 9 BODYSTRUCTURE ({parts} \"MIXED\"))\r\n{tag} OK\r\n").into()
    })
    .await;
    let structure = session.structure(9).await.unwrap().structure.unwrap();
    assert_eq!((structure.parts.len(), structure.complete), (500, false));
    assert!(session.is_usable());
}

#[tokio::test]
async fn a_message_of_depth_one_thousand_leaves_the_session_whole() {
    let deep = format!("{}{}", "(".repeat(1000), ")".repeat(1000));
    let (mut session, _server) = session(move |tag, _| {
        format!("* 1 FETCH (UID 9 BODYSTRUCTURE {deep})\r\n{tag} OK\r\n").into()
    })
    .await;
    assert!(session.structure(9).await.is_err());
    assert!(session.is_usable());
}

#[tokio::test]
async fn answers_nobody_asked_for_are_left_out() {
    let (mut session, _server) = session(|tag, _| {
        let row = |number: u32, uid: u32| {
            format!("* {number} FETCH (UID {uid} FLAGS () RFC822.SIZE 3)\r\n")
        };
        let rows = [row(7, 70), row(2, 20), row(2, 21), row(1, 10)].concat();
        format!("{rows}* 3 FETCH (FLAGS (\\Seen))\r\n{tag} OK done\r\n").into()
    })
    .await;
    let window = session.window(1, 3).await.unwrap();
    assert_eq!(window.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2]);
    let rows = session.rows(&[20, 99, 10]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.uid).collect::<Vec<_>>(), [Some(20), Some(10)]);
}

#[tokio::test]
async fn the_end_of_another_command_is_no_end() {
    let (mut session, _server) = session(|_, _| "w999 OK done\r\n".into()).await;
    let error = session.folders().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert!(!session.is_usable());
}

#[tokio::test]
async fn bye_is_shown_with_its_reason() {
    let (mut session, _server) =
        session(|_, _| Played::Close("* BYE shutting down\r\n".into())).await;
    let error = session.folders().await.unwrap_err();
    assert!(error.to_string().contains("shutting down"), "{error}");
    assert!(!session.is_usable());
}

#[tokio::test]
async fn another_certificate_is_refused() {
    let one = Scripted::start("* OK hi\r\n".into(), |_, _| Played::Stall).await;
    let other = Scripted::start("* OK hi\r\n".into(), |_, _| Played::Stall).await;
    let mut endpoint = one.endpoint();
    endpoint.trust = other.endpoint().trust;
    let error = Session::open(&endpoint, None, &credentials(), limits()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_broken_server() {
    let server = Scripted::start(format!("* OK [CAPABILITY {CAPABILITIES}] x\r\n"), |tag, _| {
        format!("{tag} NO [AUTHENTICATIONFAILED] no such {{7}}\r\n").into()
    })
    .await;
    let opened = Session::open(&server.endpoint(), None, &credentials(), limits()).await;
    assert!(matches!(opened, Err(Error::SignIn(_))), "{opened:?}");
    let plain = Scripted::start("* OK [CAPABILITY IMAP4rev1] x\r\n".into(), |_, _| Played::Stall);
    let opened = Session::open(&plain.await.endpoint(), None, &credentials(), limits()).await;
    assert!(matches!(opened, Err(Error::Lacks("PLAIN"))), "{opened:?}");
}

#[tokio::test]
async fn no_text_of_a_user_becomes_a_command() {
    let (mut session, server) = session(|tag, _| format!("{tag} OK\r\n").into()).await;
    let evil = "x\"\r\nw9 DELETE INBOX\r\n";
    session.select(evil).await.unwrap();
    session.create(evil).await.unwrap();
    session.move_to(&[1], evil).await.unwrap();
    assert!(session.flag(&[1], Change::Add, "x) w9").await.is_err());
    assert!(session.section(1, "1] w9").await.is_err());
    let commands = server.commands();
    assert!(commands.iter().all(|command| !command.starts_with("DELETE")), "{commands:?}");
    assert!(commands.iter().any(|command| command.contains("DELETE INBOX")), "{commands:?}");
}

#[tokio::test]
async fn a_part_goes_through_without_being_kept() {
    let (mut session, _server) = session(|tag, command| {
        assert!(command.contains("BINARY.PEEK[2]"), "{command}");
        let body = "y".repeat(3 << 20);
        format!("* 1 FETCH (UID 5 BINARY[2] ~{{{}}}\r\n{body})\r\n{tag} OK\r\n", body.len()).into()
    })
    .await;
    let mut sink = Vec::new();
    // Three times the limit of a literal that is kept.
    assert_eq!(session.pass(5, "2", &mut sink).await.unwrap(), (3 << 20, true));
    assert_eq!(sink.len(), 3 << 20);
    assert!(session.is_usable());
}

#[tokio::test]
async fn a_command_that_was_given_up_spoils_the_session_and_says_so() {
    let (mut session, _server) = session(|_, _| Played::Stall).await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), session.folders()).await;
    assert!(given_up.is_err());
    assert!(!session.is_usable());
}
