//! Where to listen: sockets that systemd hands over (sd_listen_fds(3)), and addresses of the configuration.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::configuration::{Address, Listen};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// TLS.
    Https,
    /// Challenges and redirects.
    Http,
    /// Plain HTTP/1.1 of a proxy that we believe.
    Proxied,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// An address is taken or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address or path.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A socket without a meaning.
    #[error(
        "systemd hands over a socket named `{0}`; set FileDescriptorName= to https, http or proxied"
    )]
    Name(String),
    /// None at all.
    #[error("nothing to listen on: no socket of systemd and no address in [listen]")]
    Nothing,
}

/// Opens all sockets.
pub(crate) fn open(configured: &Listen) -> Result<Vec<(Speech, Listener)>, SocketError> {
    let mut sockets = handed_over()?;
    let spoken = [
        (Speech::Https, &configured.https),
        (Speech::Http, &configured.http),
        (Speech::Proxied, &configured.proxied),
    ];
    for (speech, addresses) in spoken {
        for address in addresses {
            sockets.push((speech, listen(address)?));
        }
    }
    if sockets.is_empty() { Err(SocketError::Nothing) } else { Ok(sockets) }
}

/// What systemd gave us. Names come beside the descriptors, in `LISTEN_FDNAMES`.
fn handed_over() -> Result<Vec<(Speech, Listener)>, SocketError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        let name = names.next().unwrap_or_default();
        let speech = match name {
            "https" => Speech::Https,
            "http" => Speech::Http,
            "proxied" => Speech::Proxied,
            other => return Err(SocketError::Name(other.to_owned())),
        };
        let wrong = |source| SocketError::Listen { address: format!("systemd's {name}"), source };
        let listener = if let Ok(Some(socket)) = given.take_tcp_listener(index) {
            socket.set_nonblocking(true).map_err(wrong)?;
            Listener::Tcp(TcpListener::from_std(socket).map_err(wrong)?)
        } else if let Some(socket) = given.take_unix_listener(index).map_err(wrong)? {
            socket.set_nonblocking(true).map_err(wrong)?;
            Listener::Unix(UnixListener::from_std(socket).map_err(wrong)?)
        } else {
            continue;
        };
        sockets.push((speech, listener));
    }
    Ok(sockets)
}

fn listen(address: &Address) -> Result<Listener, SocketError> {
    match address {
        Address::Tcp(address) => {
            let wrong = |source| SocketError::Listen { address: address.to_string(), source };
            let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
            let socket = socket.map_err(wrong)?;
            socket.set_reuseaddr(true).map_err(wrong)?;
            socket.bind(*address).map_err(wrong)?;
            socket.listen(BACKLOG).map(Listener::Tcp).map_err(wrong)
        }
        Address::Unix(path) => {
            let wrong =
                |source| SocketError::Listen { address: path.display().to_string(), source };
            remove_old(path).map_err(wrong)?;
            let listener = UnixListener::bind(path).map_err(wrong)?;
            let mode = std::fs::Permissions::from_mode(0o660);
            std::fs::set_permissions(path, mode).map_err(wrong)?;
            Ok(Listener::Unix(listener))
        }
    }
}

/// A socket of the last run. What is not a socket stays, and binding fails.
fn remove_old(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
