//! A strict server on loopback: it parses what really arrives, and fails on purpose when a test says so.
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod s3;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mailkiln_pin::{Arch, Sha256};
use mailkiln_upload::retry::Patience;
use mailkiln_upload::settings::Settings;
use mailkiln_upload::{Artifact, Destination, Entry, Surroundings, UploadError};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    pub method: String,
    /// Path and query as they stand in the request line.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Arrived {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn query(&self) -> BTreeMap<String, String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .map(|(key, value)| (decode(key), decode(value)))
            .collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What goes wrong with a request that fits.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer, without the request being acted on.
    Answer(Reply),
    /// The connection breaks after so many bytes of the body have arrived.
    Reset(usize),
    /// The request is acted on, and the answer is lost.
    Lost,
}

/// A fault for requests of a method whose target holds a word, so many times.
#[derive(Debug, Clone)]
struct Planned {
    method: &'static str,
    word: &'static str,
    left: u32,
    fault: Fault,
}

type Handler = dyn Fn(&Arrived) -> Reply + Send + Sync;

/// The server.
pub struct Gate {
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    handler: Box<Handler>,
    faults: Mutex<Vec<Planned>>,
    log: Mutex<Vec<String>>,
}

impl Gate {
    pub fn start(handler: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            faults: Mutex::default(),
            log: Mutex::default(),
        });
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&kept);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// The next `times` requests that fit fail so.
    pub fn fail(&self, times: u32, method: &'static str, word: &'static str, fault: Fault) {
        let planned = Planned { method, word, left: times, fault };
        self.shared.faults.lock().unwrap().push(planned);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// How many requests of this method had this word in their target.
    pub fn count(&self, method: &str, word: &str) -> usize {
        let log = self.shared.log.lock().unwrap();
        log.iter().filter(|line| line.starts_with(method) && line.contains(word)).count()
    }

    pub fn forget(&self) {
        self.shared.log.lock().unwrap().clear();
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((mut arrived, length)) = head(&mut reader) {
        shared.log.lock().unwrap().push(format!("{} {}", arrived.method, arrived.target));
        let fault = planned(shared, &arrived);
        if let Some(Fault::Reset(after)) = fault {
            let mut part = vec![0; after.min(length)];
            let _ = reader.read_exact(&mut part);
            let _ = writer.shutdown(std::net::Shutdown::Both);
            return;
        }
        arrived.body = vec![0; length];
        if reader.read_exact(&mut arrived.body).is_err() {
            return;
        }
        let reply = match fault {
            Some(Fault::Answer(reply)) => reply,
            Some(Fault::Lost) => {
                (shared.handler)(&arrived);
                let _ = writer.shutdown(std::net::Shutdown::Both);
                return;
            }
            _ => (shared.handler)(&arrived),
        };
        let mut text = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let is_head = arrived.method == "HEAD";
        if !(is_head || reply.status == 204) {
            text.push_str(&format!("content-length: {}\r\n", reply.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if !is_head {
            bytes.extend(&reply.body);
        }
        if writer.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn planned(shared: &Shared, arrived: &Arrived) -> Option<Fault> {
    let mut faults = shared.faults.lock().unwrap();
    let found = faults.iter_mut().find(|it| {
        it.left > 0 && it.method == arrived.method && arrived.target.contains(it.word)
    })?;
    found.left -= 1;
    Some(found.fault.clone())
}

/// The head of a request and the length of its body, which must be said.
fn head(reader: &mut BufReader<TcpStream>) -> Option<(Arrived, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_ascii_whitespace();
    let mut arrived = Arrived {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Arrived::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        let old = arrived.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        assert!(old.is_none(), "the header {name} is there twice");
    }
    assert!(!arrived.headers.contains_key("transfer-encoding"), "a length must be said");
    let length = arrived.headers.get("content-length").map_or(0, |it| it.parse().unwrap());
    Some((arrived, length))
}

/// An image of so many bytes that no compression makes smaller, in a folder.
pub fn image(folder: &Path, length: usize, seed: u64) -> Artifact {
    let mut state = seed | 1;
    let bytes: Vec<u8> = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    let path = folder.join("mail.example.org-test-x86_64.img");
    std::fs::write(&path, &bytes).unwrap();
    Artifact {
        path,
        size: bytes.len() as u64,
        sha256: Sha256::of(&bytes),
        disk_size: bytes.len() as u64,
        format: "img",
        suffix: "img",
        name: "mail.example.org-test-x86_64".to_owned(),
        arch: Arch::X86_64,
        version: "0.1.0-20261121".to_owned(),
        lock_time: "2026-11-21T02:10:46Z".to_owned(),
    }
}

/// A destination with settings and variables, in no hurry to give up and none to wait.
pub fn destination(
    name: &str,
    given: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<Box<dyn Destination>, UploadError> {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let entry = Entry::named(name)?;
    let surroundings = Surroundings { variables: map(variables) };
    let settings = Settings::new(entry.name, entry.settings, map(given), surroundings)?;
    let patience = Patience {
        tries: 4,
        first: Duration::from_millis(2),
        longest: Duration::from_millis(10),
        look: Duration::from_millis(2),
    };
    entry.open_with(settings, patience)
}

/// The journals in a folder.
pub fn journals(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap();
    names
        .filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().ends_with(".upload"))
        .count()
}
