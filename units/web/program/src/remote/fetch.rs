//! Fetches an image: little, quickly, from the public Internet alone, and nothing but an image.
//!
//! A name is resolved once, all its addresses are looked at, and the connection goes to the very address that was looked at: a
//! name that answers differently the second time gains nothing. So does each redirect.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mailkiln_letter::reading::inline_image_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::address::{self, Target};

/// Bytes of one image.
const LARGEST: usize = 8 << 20;
/// Redirects.
const MOST: usize = 4;
/// For all of it.
const TIME: Duration = Duration::from_secs(15);
/// Fetches at the same time, of all readers.
static SLOTS: Semaphore = Semaphore::const_new(16);

/// An image.
#[derive(Debug)]
pub(super) struct Image {
    /// By its first bytes, whatever the server says.
    pub(super) kind: &'static str,
    pub(super) bytes: Bytes,
}

/// Why there is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoImage {
    /// An address that may not be asked.
    #[error("the address is not on the public Internet")]
    Inside,
    /// The server does not answer, or not as a server should.
    #[error("the server does not answer")]
    Away,
    /// Too many redirects.
    #[error("too many redirects")]
    Circle,
    /// It is too large.
    #[error("the image is larger than 8 MiB")]
    TooLarge,
    /// It is something else.
    #[error("it is not an image")]
    Other,
}

/// The image at `url`.
pub(super) async fn image(url: &str) -> Result<Image, NoImage> {
    let turn = tokio::time::timeout(TIME, SLOTS.acquire()).await.map_err(|_| NoImage::Away)?;
    let _turn = turn.map_err(|_| NoImage::Away)?;
    tokio::time::timeout(TIME, follow(url, &resolve_public)).await.map_err(|_| NoImage::Away)?
}

/// Follows redirects; each is a new address that is looked at anew. `resolve` is the one way from names to machines.
async fn follow<R, F>(url: &str, resolve: &R) -> Result<Image, NoImage>
where
    R: Fn(Target) -> F,
    F: Future<Output = Result<SocketAddr, NoImage>>,
{
    let mut url = url.to_owned();
    for _ in 0..=MOST {
        let target = address::target(&url).ok_or(NoImage::Inside)?;
        let address = resolve(target.clone()).await?;
        let response = ask(&target, address).await?;
        if !response.status().is_redirection() {
            return read(response).await;
        }
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|it| it.to_str().ok())
            .ok_or(NoImage::Away)?;
        target.url.join(location).map_err(|_| NoImage::Inside)?.as_str().clone_into(&mut url);
    }
    Err(NoImage::Circle)
}

/// An address of the name; if one of them is inside, none is taken.
async fn resolve_public(target: Target) -> Result<SocketAddr, NoImage> {
    let found = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|_| NoImage::Away)?;
    let found: Vec<SocketAddr> = found.collect();
    if found.iter().any(|one| !address::is_public(one.ip())) {
        return Err(NoImage::Inside);
    }
    // IPv4 first: an appliance without IPv6 would wait in vain.
    found.iter().find(|one| one.is_ipv4()).or(found.first()).copied().ok_or(NoImage::Away)
}

async fn ask(target: &Target, address: SocketAddr) -> Result<Response<Incoming>, NoImage> {
    let tcp = TcpStream::connect(address).await.map_err(|_| NoImage::Away)?;
    if target.is_tls {
        let connector = TLS.as_ref().ok_or(NoImage::Away)?;
        let name = ServerName::try_from(target.host.clone()).map_err(|_| NoImage::Away)?;
        let tls = connector.connect(name, tcp).await.map_err(|_| NoImage::Away)?;
        exchange(target, TokioIo::new(tls)).await
    } else {
        exchange(target, TokioIo::new(tcp)).await
    }
}

async fn exchange<S>(target: &Target, stream: S) -> Result<Response<Incoming>, NoImage>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(64 << 10).handshake::<_, Empty<Bytes>>(stream);
    let (mut sender, connection) = handshake.await.map_err(|_| NoImage::Away)?;
    // It ends with the response, or when the time is up and both are dropped.
    tokio::spawn(async move { tokio::time::timeout(TIME, connection).await });
    let path = match target.url.query() {
        Some(query) => format!("{}?{query}", target.url.path()),
        None => target.url.path().to_owned(),
    };
    let request = Request::get(path)
        .header(HOST, target.url.host_str().unwrap_or(&target.host))
        .header(ACCEPT, "image/webp,image/png,image/jpeg,image/gif")
        // No cookie, no referrer, and the same name for all readers.
        .header(USER_AGENT, "Mozilla/5.0 (Mailkiln image proxy)")
        .body(Empty::new())
        .map_err(|_| NoImage::Away)?;
    sender.send_request(request).await.map_err(|_| NoImage::Away)
}

async fn read(response: Response<Incoming>) -> Result<Image, NoImage> {
    if response.status() != StatusCode::OK {
        return Err(NoImage::Away);
    }
    let said = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > LARGEST) {
        return Err(NoImage::TooLarge);
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| NoImage::Away)?.into_data() else { continue };
        if bytes.len() + data.len() > LARGEST {
            return Err(NoImage::TooLarge);
        }
        bytes.extend_from_slice(&data);
        if bytes.len() >= 12 && inline_image_type(&bytes).is_none() {
            return Err(NoImage::Other);
        }
    }
    let kind = inline_image_type(&bytes).ok_or(NoImage::Other)?;
    if is_bomb(&bytes) {
        return Err(NoImage::TooLarge);
    }
    Ok(Image { kind, bytes: bytes.into() })
}

/// Whether a small file says that it is a picture of more than 50 million points, which a browser would unpack.
fn is_bomb(bytes: &[u8]) -> bool {
    const MOST: u64 = 50_000_000;
    let sides = match bytes {
        [0x89, b'P', b'N', b'G', ..] => {
            let side = |at: usize| {
                bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
            };
            side(16).zip(side(20))
        }
        [b'G', b'I', b'F', ..] => {
            let side = |at: usize| {
                bytes
                    .get(at..at + 2)
                    .and_then(|two| two.try_into().ok())
                    .map(|two| u32::from(u16::from_le_bytes(two)))
            };
            side(6).zip(side(8))
        }
        _ => return false,
    };
    sides.is_none_or(|(width, height)| u64::from(width) * u64::from(height) > MOST)
}

/// The system's authorities.
static TLS: LazyLock<Option<TlsConnector>> = LazyLock::new(|| {
    let files = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs/ca-bundle.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    ];
    let file = files.iter().map(Path::new).find(|file| file.exists())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).ok()?.flatten() {
        // One that rustls can't read is one less.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A server of ours that answers each connection with the next of `answers`.
    async fn server(answers: Vec<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        address
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        answer
    }

    fn redirect(to: &str) -> Vec<u8> {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    }

    async fn fetched(
        url: &str,
        answers: Vec<Vec<u8>>,
    ) -> (Result<(&'static str, usize), NoImage>, Vec<String>) {
        let address = server(answers).await;
        let asked = Mutex::new(Vec::new());
        let resolve = |target: Target| {
            asked.lock().unwrap().push(format!("{}:{}", target.host, target.port));
            async move { Ok(address) }
        };
        let found = follow(url, &resolve).await.map(|image| (image.kind, image.bytes.len()));
        (found, asked.into_inner().unwrap())
    }

    fn png(width: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(1000_u32.to_be_bytes());
        png
    }

    #[tokio::test]
    async fn an_image_comes_with_the_type_of_its_bytes() {
        let (found, asked) = fetched(
            "http://e.example/a",
            vec![redirect("/b"), redirect("http://f.example/c"), ok(&png(10))],
        )
        .await;
        assert_eq!(found, Ok(("image/png", png(10).len())));
        assert_eq!(asked, ["e.example:80", "e.example:80", "f.example:80"]);
    }

    #[tokio::test]
    async fn each_redirect_is_looked_at() {
        for inside in [
            "http://127.0.0.1/",
            "//10.0.0.1/x",
            "http://169.254.169.254/",
            "http://[::1]/",
            "file:///etc/passwd",
            "https://f.example:22/",
            "http://localhost/",
        ] {
            let (found, asked) = fetched("http://e.example/", vec![redirect(inside)]).await;
            assert_eq!((found, asked.len()), (Err(NoImage::Inside), 1), "{inside}");
        }
        let circle = vec![redirect("/"); MOST + 1];
        assert_eq!(fetched("http://e.example/", circle).await.0, Err(NoImage::Circle));
    }

    #[tokio::test]
    async fn what_is_no_image_is_not_passed_on() {
        let large = [png(10), vec![0; LARGEST]].concat();
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), png(10), vec![0; LARGEST]].concat();
        for (answer, expected) in [
            (ok(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), NoImage::Other),
            (ok(b"<html><script>alert(1)</script>"), NoImage::Other),
            (ok(b""), NoImage::Other),
            (ok(&png(1_000_000)), NoImage::TooLarge),
            (ok(&large), NoImage::TooLarge),
            (endless, NoImage::TooLarge),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), NoImage::Away),
            (b"\0\0\0".to_vec(), NoImage::Away),
        ] {
            assert_eq!(fetched("http://e.example/", vec![answer]).await.0, Err(expected));
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_inside() {
        let target = Target {
            url: "http://localhost/".parse().unwrap(),
            host: "localhost".into(),
            port: 80,
            is_tls: false,
        };
        assert_eq!(resolve_public(target).await, Err(NoImage::Inside));
    }
}
