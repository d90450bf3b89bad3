//! A server that plays what a test wants, over TLS with a certificate of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailkiln_servers::{Endpoint, Security, Trust};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What happens after a command.
pub enum Played {
    /// These bytes are sent.
    Bytes(String),
    /// These are sent, then the connection ends.
    Close(String),
    /// The same again and again.
    Flood(&'static str),
    /// Nothing.
    Stall,
    /// A byte of a line each fifth of a second.
    Drip,
}

impl From<String> for Played {
    fn from(text: String) -> Self {
        Played::Bytes(text)
    }
}

impl From<&str> for Played {
    fn from(text: &str) -> Self {
        Played::Bytes(text.to_owned())
    }
}

/// A running server; it ends with the test's runtime.
pub struct Scripted {
    port: u16,
    directory: tempfile::TempDir,
    commands: Arc<Mutex<Vec<String>>>,
}

type Answer = dyn Fn(&str, &str) -> Played + Send + Sync;

impl Scripted {
    /// Starts a server that greets and answers commands, which it is given with their literals.
    pub async fn start<F>(greeting: String, answer: F) -> Self
    where
        F: Fn(&str, &str) -> Played + Send + Sync + 'static,
    {
        let made = rcgen::generate_simple_self_signed(["mail.example.test".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("fullchain.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(answer);
        let noted = Arc::clone(&commands);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let parts = (acceptor.clone(), Arc::clone(&answer), Arc::clone(&noted));
                let greeting = greeting.clone();
                tokio::spawn(async move {
                    // A client that hangs up is what most tests are about.
                    let _ = serve(stream, parts.0, &greeting, &*parts.1, &parts.2).await;
                });
            }
        });
        Scripted { port, directory, commands }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: "127.0.0.1".into(),
            port: self.port,
            name: "mail.example.test".into(),
            security: Security::Implicit,
            trust: Trust::Pinned(self.certificate()),
            proxy: false,
        }
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("fullchain.pem")
    }

    /// What was sent so far, without tags.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    greeting: &str,
    answer: &Answer,
    noted: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    stream.write_all(greeting.as_bytes()).await?;
    stream.flush().await?;
    loop {
        let Some(whole) = command(&mut stream).await? else { return Ok(()) };
        let (tag, command) = whole.split_once(' ').unwrap_or((&whole, ""));
        noted.lock().unwrap().push(command.to_owned());
        match answer(tag, command.trim_end()) {
            Played::Bytes(text) => stream.write_all(text.as_bytes()).await?,
            Played::Close(text) => {
                stream.write_all(text.as_bytes()).await?;
                stream.flush().await?;
                return stream.shutdown().await;
            }
            Played::Flood(text) => {
                let block = text.repeat(4096 / text.len());
                loop {
                    stream.write_all(block.as_bytes()).await?;
                }
            }
            Played::Stall => tokio::time::sleep(Duration::from_secs(60)).await,
            Played::Drip => loop {
                stream.write_all(b"*").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            },
        }
        stream.flush().await?;
    }
}

/// A line with its literals, which are read by their count as a real server does.
async fn command<S>(stream: &mut BufReader<S>) -> std::io::Result<Option<String>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut whole = Vec::new();
    loop {
        if stream.read_until(b'\n', &mut whole).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&whole).into_owned();
        let announced = text.trim_end().strip_suffix("+}").and_then(|text| text.rsplit_once('{'));
        let Some(size) = announced.and_then(|(_, size)| size.parse().ok()) else {
            return Ok(Some(text));
        };
        let mut literal = vec![0; size];
        stream.read_exact(&mut literal).await?;
        whole.extend(literal);
    }
}
