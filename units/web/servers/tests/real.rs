//! The clients against the mail server of the appliance:
//! `MAILKILN_MAIL_SERVER=PROGRAM cargo nextest run --test real --run-ignored only`. The job `programs clients` of ./check does that.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

mod support;

use std::time::Duration;

use mailkiln_servers::answer::Limits;
use mailkiln_servers::imap::{Change, Date, Key, Order, Response, Session, SpecialUse};
use mailkiln_servers::sieve::Scripts;
use mailkiln_servers::smtp::{Envelope, submit};
use mailkiln_servers::{Credentials, Error, Security};
use support::real::{MailServer, credentials};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

async fn open(server: &MailServer, user: &str) -> Session {
    let endpoint = server.endpoint("imaps", Security::Implicit);
    Session::open(&endpoint, None, &credentials(user), Limits::default()).await.unwrap()
}

async fn append(session: &mut Session, folder: &str, message: &str) -> Option<u32> {
    let size = message.len() as u64;
    session.append(folder, &["\\Seen"], size, &mut message.as_bytes()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn a_mailbox_is_listed_read_sorted_searched_and_changed() {
    let server = MailServer::start();
    let mut session = open(&server, ALICE).await;
    for number in 1..=60 {
        let message = format!(
            "From: Jürgen {number} <a{number}@elsewhere.test>\r\nTo: {ALICE}\r\nSubject: Subject {:02}\r\n\
             Message-ID: <m{number}@elsewhere.test>\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n\r\nHello {number}\r\n",
            60 - number
        );
        append(&mut session, "INBOX", &message).await.unwrap();
    }
    let folders = session.counted_folders().await.unwrap();
    let uses = folders.iter().filter_map(|folder| folder.special_use()).collect::<Vec<_>>();
    for wanted in [SpecialUse::Inbox, SpecialUse::Junk, SpecialUse::Trash, SpecialUse::Sent] {
        assert!(uses.contains(&wanted), "{folders:?}");
    }
    let inbox =
        folders.iter().find(|folder| folder.special_use() == Some(SpecialUse::Inbox)).unwrap();
    assert_eq!(inbox.counters.messages, Some(60));

    let selected = session.select("INBOX").await.unwrap();
    assert_eq!(selected.exists, 60);
    assert!(selected.uid_validity > 0 && !selected.read_only);
    let window = session.window(11, 60).await.unwrap();
    assert_eq!(window.len(), 50);
    let newest = &window[49];
    assert_eq!(newest.number, 60);
    assert!(newest.preview.as_deref().unwrap().contains("Hello 60"), "{newest:?}");
    let header = String::from_utf8_lossy(newest.header().unwrap()).into_owned();
    assert!(header.contains("Subject 00") && header.contains("m60@elsewhere.test"), "{header}");
    assert!(newest.thread.is_some() && newest.size.unwrap() > 100 && newest.has("\\Seen"));

    let (row, bytes) = session.start_of(newest.uid.unwrap(), 1 << 20).await.unwrap();
    assert_eq!((&row.flags, row.size, &row.preview), (&newest.flags, newest.size, &newest.preview));
    assert!(bytes.ends_with(b"\r\n\r\nHello 60\r\n"), "{}", String::from_utf8_lossy(&bytes));
    let (row, start) = session.start_of(newest.uid.unwrap(), 10).await.unwrap();
    assert_eq!((row.header(), &start[..]), (newest.header(), &bytes[..10]));

    let uids = window.iter().map(|row| row.uid.unwrap()).collect::<Vec<_>>();
    assert_eq!(session.place_of(uids[0]).await.unwrap(), 11);
    // The server's index is some seconds late; what is not in it yet sorts as the largest.
    let mut sorted = Vec::new();
    for _ in 0..100 {
        sorted = session.sort(Order::Subject, false, &[Key::All]).await.unwrap();
        if sorted[0] == uids[49] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!((sorted.len(), sorted[0]), (60, uids[49]));
    let found =
        session.search(&[Key::Since(Date::new(2020, 1, 1).unwrap()), Key::Seen]).await.unwrap();
    assert_eq!(found.len(), 60);
    let threads = session.threads(&[Key::All]).await.unwrap();
    assert_eq!(threads.iter().map(Vec::len).sum::<usize>(), 60);

    session.flag(&uids[..2], Change::Remove, "\\Seen").await.unwrap();
    assert_eq!(session.search(&[Key::Unseen]).await.unwrap(), uids[..2]);
    let moved = session.move_to(&uids[..2], "Deleted Items").await.unwrap();
    assert_eq!(moved.len(), 2);
    assert_eq!(session.select("INBOX").await.unwrap().exists, 58);
    session.select("Deleted Items").await.unwrap();
    assert_eq!(session.rows(&moved).await.unwrap().len(), 2);
    session.expunge(&moved).await.unwrap();
    assert_eq!(session.select("Deleted Items").await.unwrap().exists, 0);
    let gone = session.start_of(moved[0], 10).await.unwrap_err();
    assert!(matches!(gone, Error::Refused { ref code, .. } if code == "NONEXISTENT"), "{gone}");
    let gone = session.section(moved[0], "").await.unwrap_err();
    assert!(matches!(gone, Error::Refused { ref code, .. } if code == "NONEXISTENT"), "{gone}");
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn names_of_any_letters_are_folders() {
    let server = MailServer::start();
    let mut session = open(&server, ALICE).await;
    for name in ["Entwürfe & \"Ideen\"", "日本語/子"] {
        let wire = mailkiln_servers::imap::folder_to_wire(name);
        session.create(&wire).await.unwrap();
        assert_eq!(session.select(&wire).await.unwrap().exists, 0);
        let folders = session.folders().await.unwrap();
        assert!(folders.iter().any(|folder| folder.name == name), "{folders:?}");
    }
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn an_archive_is_made_as_one() {
    let server = MailServer::start();
    let mut session = open(&server, ALICE).await;
    session.create_archive("Archive").await.unwrap();
    let folders = session.folders().await.unwrap();
    let uses = folders.iter().filter_map(|folder| folder.special_use()).collect::<Vec<_>>();
    assert!(uses.contains(&SpecialUse::Archive), "{folders:?}");
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn parts_stream_and_structures_are_read() {
    let server = MailServer::start();
    let mut session = open(&server, ALICE).await;
    let lines = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\r\n".repeat(40_000);
    let message = format!(
        "From: a@b.test\r\nSubject: big\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nsmall\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\n\
         Content-Disposition: attachment; filename=b.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}--x--\r\n"
    );
    let uid = append(&mut session, "INBOX", &message).await.unwrap();
    session.select("INBOX").await.unwrap();
    let structure = session.structure(uid).await.unwrap().structure.unwrap();
    assert_eq!(structure.parts.len(), 2, "{structure:?}");
    assert_eq!(structure.parts[1].name.as_deref(), Some("b.pdf"));
    let mut sink = Vec::new();
    let (count, decoded) = session.pass(uid, "2", &mut sink).await.unwrap();
    assert_eq!((count, decoded, sink.len()), (45 * 40_000, true, 45 * 40_000));
    assert!(sink.starts_with(b"ABCDEFGHIJ"));
    let mut whole = Vec::new();
    session.pass(uid, "", &mut whole).await.unwrap();
    assert_eq!(whole.len(), message.len());
    assert_eq!(session.section(uid, "1").await.unwrap(), b"small");
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn news_of_all_folders_arrive_without_an_open_one() {
    let server = MailServer::start();
    let mut watching = open(&server, ALICE).await;
    watching.begin_idle().await.unwrap();
    assert_eq!(watching.news(1).await.unwrap(), None);
    let mut other = open(&server, ALICE).await;
    append(&mut other, "INBOX", "Subject: news\r\n\r\nx\r\n").await;
    let news = watching.news(10).await.unwrap();
    assert!(
        matches!(&news, Some(Response::Counters(folder, counters))
            if folder == "INBOX" && counters.messages == Some(1)),
        "{news:?}"
    );
    watching.end_idle().await.unwrap();
    assert_eq!(watching.select("INBOX").await.unwrap().exists, 1);
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn scripts_are_stored_checked_and_run() {
    let server = MailServer::start();
    let endpoint = server.endpoint("sieve", Security::StartTls);
    let mut scripts = Scripts::open(&endpoint, None, &credentials(ALICE)).await.unwrap();
    assert!(scripts.capability("SIEVE").unwrap().contains("fileinto"));
    scripts.put("ours", "keep;\r\n# Grüße\r\n").await.unwrap();
    scripts.activate("ours").await.unwrap();
    let found = scripts.list().await.unwrap();
    assert!(found.iter().any(|script| script.name == "ours" && script.active), "{found:?}");
    let text = String::from_utf8(scripts.get("ours").await.unwrap()).unwrap();
    assert!(text.contains("Grüße"), "{text}");
    let error = scripts.check("if nonsense {").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(scripts.check("keep;").await.is_ok());
    let missing = scripts.get("none").await.unwrap_err();
    assert!(matches!(missing, Error::Refused { .. }), "{missing}");
    scripts.activate("").await.unwrap();
    scripts.delete("ours").await.unwrap();
}

#[tokio::test]
#[ignore = "needs MAILKILN_MAIL_SERVER, the mail server's program"]
async fn mail_is_submitted_and_arrives_as_it_was() {
    let server = MailServer::start();
    let endpoint = server.endpoint("submissions", Security::Implicit);
    let message = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: dots\r\nMessage-ID: <d@example.test>\r\n\
         Date: Sat, 28 Nov 2026 10:00:00 +0000\r\n\r\n.\n..a\r\nend"
    );
    let mut envelope =
        Envelope { from: ALICE.into(), to: vec![BOB.into()], delivery_notice: false };
    let size = message.len() as u64;
    let sent =
        submit(&endpoint, None, &credentials(ALICE), &envelope, size, &mut message.as_bytes())
            .await;
    sent.unwrap();
    let mut session = open(&server, BOB).await;
    let mut found = Vec::new();
    for _ in 0..50 {
        session.forget_selected();
        if session.select("INBOX").await.unwrap().exists > 0 {
            let uid = session.window(1, 1).await.unwrap()[0].uid.unwrap();
            found = session.section(uid, "TEXT").await.unwrap();
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(String::from_utf8(found).unwrap(), ".\r\n..a\r\nend\r\n");

    envelope.from = "boss@example.test".into();
    let other =
        submit(&endpoint, None, &credentials(ALICE), &envelope, size, &mut message.as_bytes())
            .await;
    assert!(matches!(other, Err(Error::Refused { .. })), "{other:?}");
    let wrong = Credentials::Password { user: ALICE.into(), password: "wrong".into() };
    let refused = submit(&endpoint, None, &wrong, &envelope, size, &mut message.as_bytes()).await;
    assert!(matches!(refused, Err(Error::SignIn(_))), "{refused:?}");
}
