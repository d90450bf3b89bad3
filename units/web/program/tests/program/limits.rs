//! Slow, many, large: none of it keeps others from being served.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::door::{Door, HOST, all};

const NOBODY: &str = "127.0.0.1:9";
const QUICK: &str =
    "limits = { read_seconds = 1, connections_per_client = 40, upload_bytes = 1048576 }";

#[tokio::test]
async fn heads_that_never_end() {
    let door = Door::open(QUICK, NOBODY);
    let mut slow = Vec::new();
    for number in 0..30 {
        let mut stream = door.tls().await;
        let part = if number % 2 == 0 {
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: ")
        } else {
            String::new()
        };
        stream.write_all(part.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert!(door.serves().await, "others are served meanwhile");
    let begin = Instant::now();
    for stream in &mut slow {
        // Drops do not help.
        let _ = stream.write_all(b"a").await;
        all(stream).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn connections_that_say_nothing() {
    let door = Door::open(QUICK, NOBODY);
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(door.tcp("127.0.0.1").await);
    }
    assert!(door.serves().await);
    let begin = Instant::now();
    for stream in &mut silent {
        all(stream).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn one_client_has_its_share_of_connections() {
    let door = Door::open("limits = { connections = 12, connections_per_client = 5 }", NOBODY);
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(door.tls().await);
    }
    assert!(door.tls_from("127.0.0.1", "http/1.1").await.is_none(), "the sixth is closed");
    assert!(door.serves().await, "another client is served");
    held.clear();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(door.tls_from("127.0.0.1", "http/1.1").await.is_some(), "places are given back");
}

#[tokio::test]
async fn heads_and_forms_that_are_too_large() {
    let door = Door::open(QUICK, NOBODY);
    let long = "a".repeat(40_000);
    let answer = door.get(HOST, "/", &format!("X: {long}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..200).map(|number| format!("X-{number}: a\r\n")).collect();
    let answer = door.get(HOST, "/", &many).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = door.get(HOST, &format!("/{long}"), "").await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    let body = "a".repeat(2 << 20);
    let mut stream = door.tls().await;
    let request = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    // It may close before it has read everything.
    let _ = stream.write_all(body.as_bytes()).await;
    let answer = all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(door.serves().await);
}

#[tokio::test]
async fn bodies_that_never_end() {
    let door = Door::open(QUICK, NOBODY);
    let begin = Instant::now();
    let answer = door
        .ask(&format!(
            "POST /sign-in HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\na"
        ))
        .await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const GOAWAY: u8 = 7;

/// GET https://mail.example.test/healthz, as HPACK writes it without its tables (RFC 7541, section 6.2.2).
fn request() -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (index, value) in [(0x04_u8, "/healthz"), (0x01, HOST)] {
        block.extend([index, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

fn begin() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// The kinds of frames in `bytes`.
fn kinds(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut kinds) = (bytes, Vec::new());
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        kinds.push(rest[3]);
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn streams_that_are_opened_and_reset() {
    let door = Door::open("", NOBODY);
    let mut stream = door.tls_from("127.0.0.1", "h2").await.unwrap();
    let mut bytes = begin();
    for number in 0..20_000_u32 {
        bytes.extend(frame(HEADERS, 0x5, number * 2 + 1, &request()));
        bytes.extend(frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
        .await
        .expect("it ends");
    assert!(answer.is_empty() || kinds(&answer).contains(&GOAWAY), "{:?}", kinds(&answer));
    assert!(door.serves().await);
    let served =
        door.access().lines().filter(|line| line.contains("127.0.0.1 GET /healthz")).count();
    assert!(served < 2000, "{served} of 20000 were worked on");
}

#[tokio::test]
async fn heads_in_endless_pieces() {
    let door = Door::open("", NOBODY);
    let before = door.memory();
    let mut stream = door.tls_from("127.0.0.1", "h2").await.unwrap();
    let mut bytes = begin();
    bytes.extend(frame(HEADERS, 0, 1, &request()));
    // A literal without a name in a table: "x" with 100 letters.
    let piece: Vec<u8> = [&[0x00, 1, b'x', 100][..], &[b'a'; 100]].concat().repeat(150);
    for _ in 0..2000 {
        bytes.extend(frame(CONTINUATION, 0, 1, &piece));
    }
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
        .await
        .expect("it ends");
    assert!(door.serves().await);
    let grown = door.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more after {} bytes of heads", bytes.len());
}

#[tokio::test]
async fn http2_is_spoken() {
    let door = Door::open("", NOBODY);
    let mut stream = door.tls_from("127.0.0.1", "h2").await.unwrap();
    stream.write_all(&[begin(), frame(HEADERS, 0x5, 1, &request())].concat()).await.unwrap();
    let mut answer = vec![0; 4096];
    let mut length = 0;
    while !kinds(&answer[..length]).contains(&HEADERS) {
        let read = stream.read(&mut answer[length..]).await.unwrap();
        assert!(read > 0, "it ended");
        length += read;
    }
}

#[tokio::test]
async fn an_upload_that_never_ends() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = Door::open(QUICK, &server.local_addr().unwrap().to_string());
    let sink = tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut seen = 0;
        let mut buffer = vec![0; 65536];
        while let Ok(read) = stream.read(&mut buffer).await {
            if read == 0 {
                break;
            }
            seen += read;
        }
        seen
    });
    let before = door.memory();
    let mut stream = door.tls().await;
    let head = format!(
        "PUT /dav/cal/a/b.ics HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 65536], b"\r\n".to_vec()].concat();
    for _ in 0..400 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let answer = all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let seen = tokio::time::timeout(Duration::from_secs(20), sink).await.unwrap().unwrap();
    assert!(seen < 2 << 20, "{seen} bytes went on");
    let grown = door.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    assert!(door.serves().await);
}
