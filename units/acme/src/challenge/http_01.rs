//! http-01 (RFC 8555 section 8.3): answers at `/.well-known/acme-challenge/TOKEN` on port 80.
//!
//! Each answer is a file in `/var/lib/mailkiln-acme/challenges`, for a web server to serve. Where nobody
//! listens on the port, this does, as long as proofs are pending and no longer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailkiln_store::{durable, journal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::ChallengeError;
use crate::layout::Layout;

const PATH: &str = "/.well-known/acme-challenge/";
/// A request for a token with the headers of any client.
const LARGEST: usize = 8 * 1024;
const TIME: Duration = Duration::from_secs(10);

/// Answers while it lives.
#[derive(Debug)]
pub struct Responder {
    task: Option<JoinHandle<()>>,
    files: Vec<PathBuf>,
}

impl Responder {
    /// Writes the files, and listens on `listen`, if it is given and nobody else does. `answers` is token and content.
    ///
    /// # Errors
    /// [`ChallengeError`].
    pub async fn start(
        listen: Option<SocketAddr>,
        layout: &Layout,
        answers: BTreeMap<String, String>,
    ) -> Result<Self, ChallengeError> {
        let folder = layout.challenges();
        // They are meant for everybody: a web server needs no group for them.
        durable::make_directory(&folder, 0o755, None)?;
        let mut responder = Self { task: None, files: Vec::new() };
        for (token, answer) in answers.iter().filter(|(token, _)| is_token(token)) {
            let path = folder.join(token);
            durable::write(&path, answer.as_bytes(), 0o644, None)?;
            responder.files.push(path);
        }
        let Some(listen) = listen else { return Ok(responder) };
        match TcpListener::bind(listen).await {
            Ok(listener) => responder.task = Some(tokio::spawn(serve(listener, Arc::new(answers)))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => journal::note(&format!(
                "{listen} is in use: whoever listens there has to serve {}",
                folder.display()
            )),
            Err(error) => return Err(ChallengeError::Listen(listen, error)),
        }
        Ok(responder)
    }

    /// Ends it, and removes the files. The port is free then: the next certificate needs it at once.
    pub async fn stop(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // That it was aborted is all it can say.
            let _ = task.await;
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        for path in &self.files {
            // A token that was used once means nothing any more.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn serve(listener: TcpListener, answers: Arc<BTreeMap<String, String>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                // One that is slow or hangs up keeps nobody else.
                tokio::spawn(async move { timeout(TIME, answer(stream, &answers)).await });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, answers: &BTreeMap<String, String>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LARGEST {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let found = token(&request).and_then(|token| answers.get(token));
    let (status, body) = match found {
        Some(answer) => ("200 OK", answer.as_str()),
        None => ("404 Not Found", "there is nothing here\n"),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

/// The token that a request asks for.
pub fn token(request: &[u8]) -> Option<&str> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let path = line.strip_prefix("GET ")?.split(' ').next()?;
    path.strip_prefix(PATH).filter(|token| is_token(token))
}

/// Letters, digits, `-` and `_` (RFC 8555 section 8.3): safe as a file name.
fn is_token(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=200).contains(&text.len()) && text.bytes().all(fine)
}

/// Asks for a token as the authority would, by the name's own address; whether it was `expected`.
pub async fn asked(address: SocketAddr, name: &str, token: &str, expected: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let head =
            format!("GET {PATH}{token} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(16 * 1024).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match timeout(TIME / 2, ask).await {
        Ok(Ok(answer)) => String::from_utf8_lossy(&answer).trim_end().ends_with(expected),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_are_answered() {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let asked = |path: &str| token(get(path).as_bytes()).map(str::to_owned);
        assert_eq!(asked("/.well-known/acme-challenge/aB-_9").as_deref(), Some("aB-_9"));
        for path in ["/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../key"] {
            assert_eq!(asked(path), None, "{path}");
        }
        assert_eq!(token(b"POST /.well-known/acme-challenge/a HTTP/1.1\r\n"), None);
        assert_eq!(token(b"\xff\xff"), None);
    }

    #[test]
    fn answers_on_its_port_and_leaves_nothing() {
        let runtime = crate::run::runtime().unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/mailkiln-acme")).unwrap();
        let layout = Layout::new(root.path());
        runtime.block_on(async {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let answers = BTreeMap::from([("abc".to_owned(), "abc.thumb".to_owned())]);
            let responder = Responder::start(Some(free), &layout, answers.clone()).await.unwrap();
            assert!(asked(free, "a.org", "abc", "abc.thumb").await);
            assert!(!asked(free, "a.org", "abd", "abc.thumb").await);
            let file = layout.challenges().join("abc");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "abc.thumb");
            // A second one leaves the port to the first.
            Responder::start(Some(free), &layout, BTreeMap::new()).await.unwrap().stop().await;
            responder.stop().await;
            assert!(!file.exists());
            // What another service serves is a file, and nothing listens.
            let responder = Responder::start(None, &layout, answers).await.unwrap();
            assert!(file.exists() && TcpStream::connect(free).await.is_err());
            responder.stop().await;
            assert!(!file.exists());
        });
    }
}
