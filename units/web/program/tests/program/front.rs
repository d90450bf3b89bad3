//! What belongs to the names of a mail server.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::door::{Door, HOST, all, certificate, certificate_for};

const NOBODY: &str = "127.0.0.1:9";

fn has(answer: &str, lines: &[&str]) {
    for line in lines {
        assert!(answer.to_lowercase().contains(&line.to_lowercase()), "{line} is not in {answer}");
    }
}

#[tokio::test]
async fn names_are_answered_with_what_is_theirs() {
    let door = Door::open("", NOBODY);
    let policy = door.get("mta-sts.example.test", "/.well-known/mta-sts.txt", "").await;
    has(&policy, &["HTTP/1.1 200", "content-type: text/plain", "version: STSv1\nmode: enforce\n"]);
    for (host, path) in [
        ("autoconfig.example.test", "/mail/config-v1.1.xml?emailaddress=a@example.test"),
        ("autoconfig.example.test", "/.well-known/autoconfig/mail/config-v1.1.xml"),
        (HOST, "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a%40example.test"),
    ] {
        has(
            &door.get(host, path, "").await,
            &["200 OK", "<domain>example.test</domain>", "<port>993</port>"],
        );
    }
    let question = "<Autodiscover><Request><EMailAddress>a@example.test</EMailAddress></Request></Autodiscover>";
    for path in ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: autodiscover.example.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{question}",
            question.len()
        );
        has(&door.ask(&request).await, &["200 OK", "<LoginName>a@example.test</LoginName>"]);
    }
    let profile = door.get(HOST, "/profile.mobileconfig?emailaddress=a@example.test", "").await;
    has(
        &profile,
        &["200 OK", "application/x-apple-aspen-config", "<string>a@example.test</string>"],
    );
    assert!(
        door.get(HOST, "/profile.mobileconfig?emailaddress=a@evil.test", "")
            .await
            .contains(" 404 ")
    );
    // Nothing of one name at another.
    for (host, path, status) in [
        (HOST, "/.well-known/mta-sts.txt", " 404 "),
        ("mta-sts.example.test", "/sign-in", " 404 "),
        ("autoconfig.example.test", "/sign-in", " 404 "),
        ("mta-sts.evil.test", "/.well-known/mta-sts.txt", " 421 "),
        ("evil.test", "/sign-in", " 421 "),
        ("evil.test", "/dav/cal", " 421 "),
        ("evil.test", "/mail/config-v1.1.xml", " 421 "),
        ("autoconfig.evil.test", "/.well-known/autoconfig/mail/config-v1.1.xml", " 421 "),
        ("autodiscover.evil.test", "/autodiscover/autodiscover.xml", " 421 "),
    ] {
        let answer = door.get(host, path, "").await;
        assert!(
            answer.lines().next().unwrap_or_default().contains(status.trim_end()),
            "{host}{path}: {answer}"
        );
    }
    has(
        &door.get("127.0.0.1", "/anything", "").await,
        &["303", "location: https://mail.example.test\r\n"],
    );
    has(&door.get(HOST, "/robots.txt", "").await, &["200 OK", "Disallow: /"]);
    has(&door.get(HOST, "/healthz", "").await, &["200 OK", "ok\n"]);
    for path in ["/.well-known/caldav", "/.well-known/carddav"] {
        has(&door.get(HOST, path, "").await, &["307", "location: /dav/ca"]);
    }
}

#[tokio::test]
async fn port_80_answers_challenges_and_leads_to_https() {
    let door = Door::open("", NOBODY);
    std::fs::write(door.folder.join("challenges/token-1"), "token-1.digest").unwrap();
    std::fs::write(door.folder.join("secret"), "secret").unwrap();
    let answer =
        door.get_plain("anything.example.test", "/.well-known/acme-challenge/token-1").await;
    has(&answer, &["200 OK", "token-1.digest"]);
    for path in ["token-2", "..%2Fsecret", "../secret", "%2e%2e%2fsecret"] {
        let answer = door.get_plain(HOST, &format!("/.well-known/acme-challenge/{path}")).await;
        assert!(!answer.contains(" 200 "), "{path}: {answer}");
    }
    let moved = door.get_plain(HOST, "/mail?folder=a").await;
    has(&moved, &["308", "location: https://mail.example.test/mail?folder=a\r\n"]);
    assert!(!moved.contains("strict-transport-security"), "RFC 6797, section 7.2");
    has(
        &door.get_plain("mta-sts.example.test", "/x").await,
        &["location: https://mta-sts.example.test/x\r\n"],
    );
    has(&door.get_plain("evil.test", "/").await, &[" 421 "]);
    has(&door.get_plain("evil.test", "/healthz").await, &["200 OK"]);
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let door = Door::open("", NOBODY);
    for path in ["/sign-in", "/nothing", "/healthz", "/dav/cal/a", "/mail", "/assets/x/style.css"] {
        let answer = door.get(HOST, path, "").await;
        has(
            &answer,
            &[
                "content-security-policy: default-src 'none'",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "cross-origin-opener-policy: same-origin",
                "strict-transport-security: max-age=31536000",
            ],
        );
        assert!(!answer.to_lowercase().contains("\r\nserver:"), "{answer}");
    }
    let page = door.get(HOST, "/sign-in", "Accept: text/html\r\nAccept-Language: de\r\n").await;
    has(
        &page,
        &["<html lang=\"de\"", "Passwort", "set-cookie: __Host-guest=", "HttpOnly", "SameSite=Lax"],
    );
    let missing = door.get(HOST, "/nothing", "Accept: text/html\r\nAccept-Language: de\r\n").await;
    has(&missing, &["404", "Unter dieser Adresse gibt es nichts.", "cache-control: no-store"]);
    let style = page
        .split("href=\"")
        .find(|it| it.contains("style.css"))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    has(
        &door.get(HOST, style, "Accept-Encoding: gzip\r\n").await,
        &["immutable", "content-encoding: gzip"],
    );
    has(&door.get(HOST, &style.replace("/assets/", "/assets/x"), "").await, &[" 404 "]);
}

#[tokio::test]
async fn the_log_has_no_secrets() {
    let door = Door::open("", NOBODY);
    door.get(HOST, "/sign-in?next=/secret-folder", "").await;
    door.get(HOST, "/secret-path", "").await;
    door.get(HOST, "/dav/cal/secret-person/", "Authorization: Basic c2VjcmV0\r\n").await;
    let lines = door.access();
    has(
        &lines,
        &[
            "127.0.0.1 GET /sign-in 200",
            "127.0.0.1 GET (other) 404",
            "127.0.0.1 GET /dav/{*path} 502",
        ],
    );
    assert!(!lines.contains("secret") && !lines.contains("c2VjcmV0"), "{lines}");
}

#[tokio::test]
async fn another_certificate_is_served_without_a_restart() {
    let door = Door::open("", NOBODY);
    assert!(door.serves().await);
    let old = std::fs::read(door.folder.join("fullchain.pem")).unwrap();
    // What can't be used changes nothing.
    std::fs::write(door.folder.join("key.pem"), "no key").unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(door.serves().await, "the old one is served on");
    certificate(&door.folder);
    assert_ne!(std::fs::read(door.folder.join("fullchain.pem")).unwrap(), old);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(door.serves().await, "the client trusts the new one alone");
}

#[tokio::test]
async fn a_domain_is_shown_its_own_certificate_once_there_is_one() {
    const NAME: &str = "mta-sts.second.test";
    let second = std::env::temp_dir().join(format!("web-second-{}", std::process::id()));
    let door = Door::open(
        &format!(
            "[[tls.further]]\nnames = [\"{NAME}\"]\ncertificate = \"{0}/fullchain.pem\"\nkey = \"{0}/key.pem\"\n",
            second.display()
        ),
        NOBODY,
    );
    let shown = async |name, folder: &std::path::Path| {
        door.tls_for(name, folder, "127.0.0.1", "http/1.1").await.is_some()
    };
    // There is none yet: the program runs all the same.
    assert!(shown("mta-sts.example.test", &door.folder).await);
    for _ in 0..2 {
        std::fs::create_dir_all(&second).unwrap();
        certificate_for(&second, vec![NAME.to_owned()]);
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert!(shown(NAME, &second).await, "the one that fits");
        assert!(shown(HOST, &door.folder).await, "others get the first");
        assert!(shown("mta-sts.example.test", &door.folder).await);
    }
    std::fs::remove_dir_all(&second).unwrap();
    assert!(shown(HOST, &door.folder).await);
}

#[tokio::test]
async fn a_proxy_in_front_is_believed_about_the_client() {
    let door = Door::open("", NOBODY);
    let mut stream = UnixStream::connect(door.folder.join("proxied")).await.unwrap();
    let request = format!(
        "GET /sign-in HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nX-Forwarded-For: 198.51.100.1, 192.0.2.9\r\nX-Forwarded-Proto: https\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    has(&all(&mut stream).await, &["200 OK", "strict-transport-security"]);
    has(&door.access(), &["192.0.2.9 GET /sign-in 200"]);
    // Over TLS nobody is believed.
    door.get(HOST, "/sign-in", "X-Forwarded-For: 198.51.100.66\r\n").await;
    assert!(!door.access().contains("198.51.100.66"));
}

#[tokio::test]
async fn it_ends_when_asked_to() {
    let mut door = Door::open("", NOBODY);
    let _idle = door.tls().await;
    let begin = std::time::Instant::now();
    assert!(door.terminate());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
