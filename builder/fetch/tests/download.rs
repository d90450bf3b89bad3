//! Downloads against a server of the test's own on loopback: it is honest, or breaks off, lies
//! about ranges, serves wrong bytes, or has lost the file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it stands")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mailkiln_fetch::{Cache, CacheError, FetchError, Fetcher, Mirrors, Progress, Silent, Wanted};
use mailkiln_pin::{Archive, PackageArch, Pin, Sha256};

/// What the server does with the n-th request, from 0. The last one is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Honest,
    /// Breaks off after so many bytes of the body.
    BreaksAfter(usize),
    /// Answers a range with the whole file.
    IgnoresRanges,
    Status(&'static str),
    /// Serves other bytes of the same length.
    Lies,
    /// Serves more than there is.
    Rambles,
}

struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(body: &'static [u8], manners: &'static [Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut head).unwrap() > 2 {}
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(head.clone());
                    seen.len() - 1
                };
                let manner = manners[count.min(manners.len() - 1)];
                // A client that was told enough may hang up on us.
                let _ = stream.write_all(&answer(body, manner, &head));
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address.trim_start_matches("http://"));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(body: &[u8], manner: Manner, head: &str) -> Vec<u8> {
    let range = head.lines().find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse::<usize>().ok()
    });
    let begin = if manner == Manner::IgnoresRanges { 0 } else { range.unwrap_or(0) };
    let mut content = body[begin.min(body.len())..].to_vec();
    if manner == Manner::Lies {
        content.iter_mut().for_each(|byte| *byte ^= 1);
    }
    if manner == Manner::Rambles {
        content.extend_from_slice(&[b'x'; 100_000]);
    }
    let status = match manner {
        Manner::Status(status) => {
            return format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .into();
        }
        _ if begin > 0 => {
            format!(
                "206 Partial Content\r\nContent-Range: bytes {begin}-{}/{}",
                body.len() - 1,
                body.len()
            )
        }
        _ => "200 OK".to_owned(),
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )
    .into_bytes();
    if let Manner::BreaksAfter(count) = manner {
        content.truncate(count);
    }
    answer.extend(content);
    answer
}

const BODY: &[u8] = b"a package of some length, which is long enough to break off in";
const SOON: [Duration; 2] = [Duration::from_millis(1); 2];

fn pin(name: &str, content: &[u8]) -> Pin {
    Pin {
        name: name.parse().unwrap(),
        arch: PackageArch::All,
        version: "1".parse().unwrap(),
        size: content.len() as u64,
        sha256: Sha256::of(content),
        path: format!("debian/pool/{name}.deb").parse().unwrap(),
    }
}

fn mirrors(servers: &[&Server]) -> Mirrors {
    let mut mirrors = Mirrors::default();
    servers.iter().for_each(|server| mirrors.add(&server.address).unwrap());
    mirrors
}

fn fetch(
    folder: &Path,
    mirrors: &Mirrors,
    pins: &[Pin],
    watch: &dyn Progress,
) -> Result<Vec<u8>, FetchError> {
    let cache = Cache::open(folder).unwrap();
    let paths = Fetcher::new(&cache, mirrors).with_pauses(&SOON).packages(pins, watch)?;
    Ok(std::fs::read(&paths[0]).unwrap())
}

/// An image has no pin: its address and its digest are all that is given.
#[test]
fn a_file_of_unknown_size_is_fetched_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let mirrors = Mirrors::default();
    let fetcher = Fetcher::new(&cache, &mirrors).with_pauses(&SOON);
    let server = Server::start(BODY, &[Manner::Honest, Manner::BreaksAfter(9), Manner::Honest]);
    let address = format!("{}/image.img.zst", server.address);
    let wanted = fetcher.at(&address, Sha256::of(BODY)).unwrap();
    assert_eq!(wanted.size, BODY.len() as u64);
    let paths = fetcher.files(&[wanted], &Silent).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), BODY);
    let other = fetcher.at(&address, Sha256::of(b"other")).unwrap();
    assert_eq!(fetcher.files(&[other], &Silent).unwrap_err().code(), "altered");
    let gone = Server::start(BODY, &[Manner::Status("404 Not Found")]);
    let error = fetcher.at(&format!("{}/x", gone.address), Sha256::of(BODY)).unwrap_err();
    assert_eq!(error.code(), "mirror-lost-package");
}

#[derive(Default)]
struct Count(AtomicU64, AtomicU64);

impl Progress for Count {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
    fn retract(&self, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::SeqCst);
    }
}

#[test]
fn servers_of_all_manners() {
    use Manner::*;
    type Case = (&'static [Manner], Option<&'static str>, &'static [Option<&'static str>]);
    // What the server does; the error's code; the range that each request asks for.
    let cases: &[Case] = &[
        (&[Honest], None, &[None]),
        (&[BreaksAfter(10), Honest], None, &[None, Some("10")]),
        (&[BreaksAfter(10), BreaksAfter(5), Honest], None, &[None, Some("10"), Some("15")]),
        (&[BreaksAfter(10), IgnoresRanges], None, &[None, Some("10")]),
        (
            &[BreaksAfter(10), Status("416 Range Not Satisfiable"), Honest],
            None,
            &[None, Some("10"), None],
        ),
        (&[BreaksAfter(10), Lies, Honest], None, &[None, Some("10"), None]),
        (&[Status("503 Service Unavailable"), Honest], None, &[None, None]),
        (&[Status("503 Service Unavailable")], Some("mirror-unreachable"), &[None, None, None]),
        (&[BreaksAfter(0)], Some("mirror-unreachable"), &[None, None, None]),
        (&[Status("404 Not Found")], Some("mirror-lost-package"), &[None]),
        (&[Status("403 Forbidden")], Some("mirror-unreachable"), &[None]),
        (&[Lies], Some("altered"), &[None]),
        (&[Rambles], Some("altered"), &[None]),
    ];
    for (manners, code, ranges) in cases {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(BODY, manners);
        let count = Count::default();
        let found = fetch(folder.path(), &mirrors(&[&server]), &[pin("sed", BODY)], &count);
        match code {
            None => {
                assert_eq!(found.unwrap(), BODY, "{manners:?}");
                let reported = count.0.into_inner() - count.1.into_inner();
                assert_eq!(reported, BODY.len() as u64, "{manners:?}");
            }
            Some(code) => {
                let error = found.unwrap_err();
                assert_eq!(error.code(), *code, "{manners:?}: {error}");
                assert!(error.to_string().contains("sed 1 (all)"), "{error}");
                let cache = Cache::open(folder.path()).unwrap();
                assert_eq!(cache.blob(&Sha256::of(BODY)), None, "{manners:?}");
            }
        }
        let asked: Vec<_> = server
            .requests()
            .iter()
            .map(|head| {
                assert!(head.starts_with("GET /debian/pool/sed.deb "), "{head}");
                head.lines().find_map(|line| {
                    let line = line.to_ascii_lowercase();
                    Some(line.strip_prefix("range: bytes=")?.trim_end_matches('-').to_owned())
                })
            })
            .collect();
        assert_eq!(
            asked,
            ranges.iter().map(|range| range.map(str::to_owned)).collect::<Vec<_>>(),
            "{manners:?}"
        );
    }
}

#[test]
fn the_next_mirror_is_asked_whatever_ails_the_first() {
    use Manner::*;
    for first in [&[Status("404 Not Found")][..], &[Lies], &[Status("500 Oh")], &[BreaksAfter(3)]] {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (Server::start(BODY, first), Server::start(BODY, &[Honest]));
        let found = fetch(folder.path(), &mirrors(&[&bad, &good]), &[pin("sed", BODY)], &Silent);
        assert_eq!(found.unwrap(), BODY, "{first:?}");
    }
}

#[test]
fn all_lost_packages_are_named_and_the_others_kept() {
    let folder = tempfile::tempdir().unwrap();
    let pool = folder.path().join("mirror/debian/pool");
    std::fs::create_dir_all(&pool).unwrap();
    std::fs::write(pool.join("sed.deb"), BODY).unwrap();
    let mut mirrors = Mirrors::default();
    mirrors.add(&format!("file://{}/mirror", folder.path().display())).unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let pins = [pin("awk", b"1"), pin("sed", BODY), pin("tar", b"2")];
    let error = Fetcher::new(&cache, &mirrors).packages(&pins, &Silent).unwrap_err();
    let FetchError::Lost { names, .. } = &error else { panic!("{error}") };
    assert_eq!(names, &["awk 1 (all)", "tar 1 (all)"]);
    for cure in ["--update", "--mirror"] {
        assert!(error.to_string().contains(cure), "{error}");
    }
    assert!(cache.blob(&Sha256::of(BODY)).is_some());
}

#[test]
fn nothing_is_asked_for_what_is_cached() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    cache.insert("sed", Sha256::of(BODY), BODY.len() as u64, BODY).unwrap();
    let found = fetch(folder.path(), &Mirrors::default(), &[pin("sed", BODY)], &Silent);
    assert_eq!(found.unwrap(), BODY);
    let error = fetch(folder.path(), &Mirrors::default(), &[pin("awk", b"1")], &Silent);
    assert_eq!(error.unwrap_err().code(), "no-mirror");
}

#[test]
fn two_builds_on_one_cache_download_a_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(BODY, &[Manner::Honest]);
    let mirrors = mirrors(&[&server]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(folder.path(), &mirrors, &[pin("sed", BODY)], &Silent).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_without_a_digest_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let server = Server::start(BODY, &[Manner::Honest]);
    let mirrors = mirrors(&[&server]);
    let fetcher = Fetcher::new(&cache, &mirrors);
    let size = BODY.len() as u64;
    assert_eq!(fetcher.unverified(Archive::Debian, "x", size).unwrap(), BODY);
    let error = fetcher.unverified(Archive::Debian, "x", size - 1).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
}

#[test]
fn an_empty_file_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(b"", &[Manner::Honest]);
    let cache = Cache::open(folder.path()).unwrap();
    let file = Wanted {
        name: "nothing".to_owned(),
        sha256: Sha256::of(b""),
        size: 0,
        addresses: vec![format!("{}/x", server.address)],
    };
    let mirrors = Mirrors::default();
    let paths = Fetcher::new(&cache, &mirrors).files(&[file], &Silent).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), b"");
}

#[test]
fn a_cache_without_room_is_a_failure_that_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    // Something stands where the file has to go, so that it can't be created.
    let partial = folder.path().join("partial").join(Sha256::of(BODY).to_string());
    std::fs::create_dir(partial).unwrap();
    let server = Server::start(BODY, &[Manner::Honest]);
    let mirrors = mirrors(&[&server]);
    let error = Fetcher::new(&cache, &mirrors).packages(&[pin("sed", BODY)], &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Cache(CacheError::Io { .. })), "{error}");
    assert_eq!(cache.blob(&Sha256::of(BODY)), None);
}
