//! Connections of the page: TLS, a time limit, and bounds for all of them and for each client.
//!
//! In: a socket address, the certificate on disk. Out: answers of [`Page`]. The certificate is read
//! again for every connection, so that a renewal needs no restart.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Page;
use super::http::{BODY, Bad, HEAD, Request, Response};
use super::limit::network;
use crate::deadline::Deadline;
use crate::journal;
use crate::layout::Layout;

/// For a whole connection, the penalty for a wrong password and the server's answer included.
const TIME: Duration = Duration::from_secs(20);
/// Connections at once, and of one client.
const MOST: usize = 32;
const MOST_OF_ONE: usize = 4;
/// Small: a thread holds one request and one answer.
const STACK: usize = 256 * 1024;
/// Pause after an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The port.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// Serves the page at `address` until the process ends.
///
/// # Errors
/// [`PageError`] when nothing can listen there.
pub fn serve(layout: &Layout, page: Page, address: SocketAddr) -> Result<(), PageError> {
    let listener = TcpListener::bind(address).map_err(|error| PageError::Listen(address, error))?;
    let folder = layout.certificates().join(&page.host);
    let shared = Arc::new((page, folder, Clients::default()));
    for connection in listener.incoming() {
        let accepted = connection.and_then(|stream| Ok((stream.peer_addr()?.ip(), stream)));
        let Ok((client, stream)) = accepted else {
            thread::sleep(PAUSE);
            continue;
        };
        let shared = shared.clone();
        if !shared.2.enter(client) {
            // Closed at once: whoever has so many open does not wait for an answer.
            continue;
        }
        let spawned = thread::Builder::new().stack_size(STACK).spawn({
            let shared = shared.clone();
            move || {
                // Strangers break off all the time; that is no news.
                let _ = talk(&shared.0, &shared.1, stream, client);
                shared.2.leave(client);
            }
        });
        if let Err(error) = spawned {
            journal::warn(&format!("cannot answer a connection: {error}"));
            shared.2.leave(client);
        }
    }
    Ok(())
}

/// Who is connected.
#[derive(Debug, Default)]
struct Clients(Mutex<BTreeMap<u128, usize>>);

impl Clients {
    fn enter(&self, client: IpAddr) -> bool {
        let Ok(mut clients) = self.0.lock() else { return false };
        let all: usize = clients.values().sum();
        let own = clients.get(&network(client)).copied().unwrap_or(0);
        if all >= MOST || own >= MOST_OF_ONE {
            return false;
        }
        clients.insert(network(client), own + 1);
        true
    }

    fn leave(&self, client: IpAddr) {
        if let Ok(mut clients) = self.0.lock()
            && let Some(own) = clients.get_mut(&network(client))
        {
            *own -= 1;
            if *own == 0 {
                clients.remove(&network(client));
            }
        }
    }
}

fn talk(page: &Page, folder: &Path, socket: TcpStream, client: IpAddr) -> io::Result<()> {
    let deadline = Deadline::after(TIME);
    let tls = ServerConnection::new(Arc::new(configuration(folder)?)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, socket);
    let mut bytes = Vec::new();
    let request = loop {
        match Request::parse(&bytes) {
            Err(Bad::Unfinished) => {}
            other => break other,
        }
        let mut buffer = [0; 2048];
        limit(&stream.sock, deadline)?;
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
        if bytes.len() > HEAD + BODY + 4 {
            break Err(Bad::TooLong);
        }
    };
    let (response, with_body) = match request {
        Ok(request) => (page.answer(&request, client), request.method != "HEAD"),
        Err(Bad::TooLong) => (Response::page(413, "<p>That is too long."), true),
        Err(_) => (Response::page(400, "<p>That is not a request this page takes."), true),
    };
    limit(&stream.sock, deadline)?;
    stream.write_all(&response.bytes(with_body))?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn limit(socket: &TcpStream, deadline: Deadline) -> io::Result<()> {
    let left = deadline.remaining()?;
    socket.set_read_timeout(Some(left))?;
    socket.set_write_timeout(Some(left))
}

fn configuration(folder: &Path) -> io::Result<ServerConfig> {
    let read = |name: &str| -> io::Result<(PathBuf, Vec<u8>)> {
        let path = folder.join(name);
        fs::read(&path).map(|bytes| (path, bytes))
    };
    let (_, chain) = read("fullchain.pem")?;
    let (_, key) = read("key.pem")?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::tests::example;
    use crate::certificate::{SelfSigned, first_der};
    use crate::tls::Connection;

    #[test]
    fn clients_are_counted_and_let_go() {
        let clients = Clients::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..MOST_OF_ONE {
            assert!(clients.enter(ip("2001:db8::1")));
        }
        assert!(!clients.enter(ip("2001:db8::2")));
        assert!(clients.enter(ip("192.0.2.1")));
        clients.leave(ip("2001:db8::1"));
        assert!(clients.enter(ip("2001:db8::2")));
    }

    /// A real handshake and a real form, over loopback.
    #[test]
    fn serves_the_form_over_tls() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let appliance = example();
        let pair =
            SelfSigned::generate(&appliance.certificate_names(), time::OffsetDateTime::now_utc())
                .unwrap();
        let folder = layout.certificates().join(appliance.host.as_str());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fullchain.pem"), &pair.chain).unwrap();
        fs::write(folder.join("key.pem"), &pair.key).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let page = Page::new(&appliance);
        thread::spawn(move || serve(&layout, page, port));
        let deadline = Deadline::after(Duration::from_secs(10));
        let certificate = first_der(&pair.chain).unwrap();
        let mut connection = loop {
            match Connection::open(port, &appliance.host, &certificate, deadline) {
                Ok(connection) => break connection,
                Err(error) => assert!(!deadline.is_over(), "{error}"),
            }
        };
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(connection.read_line().unwrap(), "HTTP/1.1 200 OK");
        let policy = loop {
            let line = connection.read_line().unwrap();
            if line.starts_with("Content-Security-Policy: ") {
                break line;
            }
        };
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
}
