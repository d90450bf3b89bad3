//! The proxy of DAV: one request in is one request out, whatever the client says about its length.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::door::{Door, HOST, all};

/// A server that keeps the bytes of each connection and answers the first request.
struct Upstream {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    async fn new(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let mut buffer = [0; 4096];
                    // What comes within a moment is all there is.
                    while let Ok(Ok(read @ 1..)) =
                        tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer))
                            .await
                    {
                        bytes.extend_from_slice(&buffer[..read]);
                    }
                    kept.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, seen }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

const FINE: &str = "HTTP/1.1 207 Multi-Status\r\nContent-Length: 2\r\nDAV: 1\r\nSet-Cookie: a=b\r\nServer: x\r\n\r\nok";

#[tokio::test]
async fn what_goes_on_is_framed_by_us() {
    let upstream = Upstream::new(FINE).await;
    let door = Door::open("", &upstream.address);
    let answer = door
        .ask(&format!(
            "PROPFIND /dav/cal/a%40b/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close, X-Forwarded-For\r\nDepth: 1\r\nForwarded: for=198.51.100.1\r\n\
             X-Forwarded-For: 198.51.100.1\r\nX-Real-IP: 198.51.100.1\r\nCookie: __Host-session=x\r\nAuthorization: Basic YTpi\r\n\
             Content-Length: 6\r\n\r\n<a></>"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 207") && answer.ends_with("ok"), "{answer}");
    let lower = answer.to_lowercase();
    assert!(
        lower.contains("dav: 1")
            && lower.contains("content-security-policy: default-src 'none'; sandbox"),
        "{answer}"
    );
    assert!(!lower.contains("set-cookie") && !lower.contains("server: x"), "{answer}");
    let seen = upstream.take();
    assert_eq!(seen.len(), 1);
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.split("\r\n").map(str::to_lowercase).collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "propfind /dav/cal/a%40b/ http/1.1",
            "authorization: basic ytpi",
            "content-length: 6",
            "depth: 1",
            "host: mail.example.test",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: mail.example.test",
            "x-forwarded-proto: https",
        ]
    );
    assert_eq!(body, "<a></>");
}

#[tokio::test]
async fn chunks_are_taken_apart_and_trailers_dropped() {
    let upstream = Upstream::new(FINE).await;
    let door = Door::open("", &upstream.address);
    let answer = door
        .ask(&format!(
            "PUT /dav/cal/a/b HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-For\r\n\r\n\
             3;x=y\r\nabc\r\n0003\r\ndef\r\n0\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 207"), "{answer}");
    let seen = upstream.take();
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
    assert!(!seen[0].contains("198.51.100.1") && !body.contains("x=y"), "{body}");
    let data: String = body.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(data, "abcdef", "{body}");
}

/// The classes of CL.TE, TE.CL, TE.TE and their kin. Each carries a second request that must never be one.
#[tokio::test]
async fn smuggled_requests_reach_nobody() {
    let upstream = Upstream::new(FINE).await;
    let door = Door::open("", &upstream.address);
    let inner = "DELETE /dav/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{inner}");
    let length = chunked.len();
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Transfer-Encoding : chunked\r\nContent-Length: {length}"),
        format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}"),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: identity, chunked".to_owned(),
        "Transfer-Encoding:\u{b}chunked".to_owned(),
        format!("X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}, {length}"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: 0x{length:x}"),
        "X: a\rTransfer-Encoding: chunked".to_owned(),
        "X: a\nContent-Length: 0".to_owned(),
    ] {
        let request = format!(
            "POST /dav/cal/a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{framing}\r\n\r\n{chunked}"
        );
        door.ask(&request).await;
        for seen in upstream.take() {
            let requests = seen.matches(" HTTP/1.1\r\n").count();
            let as_body = seen.to_lowercase().contains(&format!("content-length: {length}\r\n"));
            assert!(requests <= 1 || as_body, "{framing:?} reached the server as {seen:?}");
            assert!(
                !(seen.to_lowercase().contains("content-length")
                    && seen.to_lowercase().contains("transfer-encoding")),
                "{seen:?}"
            );
        }
    }
    for line in [
        "GET /dav/cal/../../api/principal HTTP/1.1",
        "GET /dav/%2e%2e/api/principal HTTP/1.1",
        "GET /dav//api HTTP/1.1",
        "TRACE /dav/cal/a HTTP/1.1",
        "CONNECT /dav/cal/a HTTP/1.1",
        "GET http://127.0.0.1/dav/cal/a HTTP/1.1",
    ] {
        let answer =
            door.ask(&format!("{line}\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
        assert_eq!(upstream.take(), Vec::<String>::new(), "{line}");
    }
}

/// Answers that lie about their length harm nobody else: no connection is used twice.
#[tokio::test]
async fn answers_of_the_server_are_framed_by_us_too() {
    for (answer, wanted) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil",
            "ok",
        ),
    ] {
        let upstream = Upstream::new(answer).await;
        let door = Door::open("", &upstream.address);
        let mut stream = door.tls().await;
        for _ in 0..2 {
            let request = format!("GET /dav/cal/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        stream.shutdown().await.unwrap();
        let got = all(&mut stream).await;
        assert!(got.contains(wanted) && !got.contains("evil"), "{got}");
    }
}

#[tokio::test]
async fn one_client_has_its_share_of_the_server() {
    let upstream = Upstream::new(FINE).await;
    let door = Door::open("limits = { dav_per_client = 2 }", &upstream.address);
    let request = format!("GET /dav/cal/a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let answers = futures_util::future::join_all((0..6).map(|_| door.ask(&request))).await;
    let refused = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).count();
    assert_eq!(refused, 4, "{answers:?}");
    assert!(answers.iter().any(|answer| answer.to_lowercase().contains("retry-after: 5")));
    assert!(door.ask(&request).await.starts_with("HTTP/1.1 207"), "shares are given back");
}
