//! One running program, on a loopback address of its own.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const HOST: &str = "mail.example.test";
const HTTPS: u16 = 8443;
const HTTP: u16 = 8080;
static NEXT: AtomicU8 = AtomicU8::new(1);

/// It ends with the value.
pub(crate) struct Door {
    pub(crate) ip: String,
    pub(crate) folder: PathBuf,
    process: Child,
}

/// A self-signed pair in `folder`.
pub(crate) fn certificate(folder: &std::path::Path) {
    let names = ["", "mta-sts.", "autoconfig.", "autodiscover."];
    let mut names: Vec<String> = names.iter().map(|it| format!("{it}example.test")).collect();
    names.push(HOST.to_owned());
    certificate_for(folder, names);
}

/// The same for other names.
pub(crate) fn certificate_for(folder: &std::path::Path, names: Vec<String>) {
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    // As the ACME client replaces them: whole.
    for (name, text) in
        [("key.pem", pair.signing_key.serialize_pem()), ("fullchain.pem", pair.cert.pem())]
    {
        std::fs::write(folder.join("new"), text).unwrap();
        std::fs::rename(folder.join("new"), folder.join(name)).unwrap();
    }
}

impl Door {
    /// With keys besides the usual ones, and a mail server's API at `api`.
    pub(crate) fn open(more: &str, api: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let ip = format!("127.88.{}.{number}", std::process::id() % 250 + 1);
        let folder = std::env::temp_dir().join(format!("web-door-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join("challenges")).unwrap();
        certificate(&folder);
        let at = folder.display();
        let text = format!(
            "host = \"{HOST}\"\nstate = \"{at}\"\nchallenges = \"{at}/challenges\"\n{more}\n\
             [listen]\nhttps = [\"{ip}:{HTTPS}\"]\nhttp = [\"{ip}:{HTTP}\"]\nproxied = [\"{at}/proxied\"]\n\
             [tls]\ncertificate = \"{at}/fullchain.pem\"\nkey = \"{at}/key.pem\"\n\
             [server]\napi = \"{api}\"\nimap = {{ host = \"127.0.0.1\", port = 9 }}\nsubmission = {{ host = \"127.0.0.1\", port = 9 }}\n\
             [domains.\"example.test\"]\nmta_sts = \"version: STSv1\\nmode: enforce\\nmx: {HOST}\\nmax_age: 604800\\n\"\n"
        );
        std::fs::write(folder.join("web.toml"), text).unwrap();
        let notify = folder.join("notify");
        let socket = UnixDatagram::bind(&notify).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_mailkiln-web"))
            .arg("--config")
            .arg(folder.join("web.toml"))
            .env("NOTIFY_SOCKET", &notify)
            .stdout(std::fs::File::create(folder.join("access")).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut state = [0; 64];
        let length = socket.recv(&mut state).expect("the program says that it is ready");
        assert_eq!(&state[..length], b"READY=1");
        Self { ip, folder, process }
    }

    /// Resident memory, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// The lines of the access log.
    pub(crate) fn access(&self) -> String {
        std::fs::read_to_string(self.folder.join("access")).unwrap()
    }

    /// SIGTERM; returns whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.process.wait().unwrap().success()
    }

    /// A plain connection to the HTTPS port, from another loopback address.
    pub(crate) async fn tcp(&self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(format!("{}:{HTTPS}", self.ip).parse().unwrap()).await.unwrap()
    }

    /// A TLS connection that speaks `alpn`; none where the program closes it.
    pub(crate) async fn tls_from(&self, from: &str, alpn: &str) -> Option<TlsStream<TcpStream>> {
        self.tls_for(HOST, &self.folder, from, alpn).await
    }

    /// The same for another name, where only the certificate in `folder` is trusted.
    pub(crate) async fn tls_for(
        &self,
        name: &'static str,
        folder: &std::path::Path,
        from: &str,
        alpn: &str,
    ) -> Option<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("fullchain.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = name.try_into().unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, self.tcp(from).await).await.ok()
    }

    /// The same, from the usual address.
    pub(crate) async fn tls(&self) -> TlsStream<TcpStream> {
        self.tls_from("127.0.0.1", "http/1.1").await.unwrap()
    }

    /// Sends `request` over TLS and returns all that comes until the connection is closed.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = self.tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        all(&mut stream).await
    }

    /// The answer to a GET of `path` at `host`.
    pub(crate) async fn get(&self, host: &str, path: &str, more: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"))
            .await
    }

    /// The same on port 80.
    pub(crate) async fn get_plain(&self, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(format!("{}:{HTTP}", self.ip)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        all(&mut stream).await
    }

    /// Whether others are served.
    pub(crate) async fn serves(&self) -> bool {
        let stream = self.tls_from("127.0.0.77", "http/1.1").await;
        let Some(mut stream) = stream else { return false };
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        all(&mut stream).await.starts_with("HTTP/1.1 200")
    }
}

/// Reads to the end; a reset is an end too.
pub(crate) async fn all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
