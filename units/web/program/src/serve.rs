//! The program's life: open everything, say that it is ready, serve until SIGTERM, finish what is under way.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::accept::Door;
use crate::app::{App, AppError};
use crate::configuration::Configuration;
use crate::sockets::{self, SocketError, Speech};
use crate::tls::{Certificates, TlsError};
use crate::{journal, router};

/// Threads that answer. Waiting for the disk happens elsewhere.
const THREADS: usize = 2;
/// How long requests under way may take once we are told to end. With what follows it stays below the 20 seconds
/// after which systemd kills the service (`stop` in unit.toml).
const FAREWELL: Duration = Duration::from_secs(15);
/// How often ended sessions are removed.
const SWEEP: Duration = Duration::from_secs(3600);

/// Why the program ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What it keeps can't be used.
    #[error(transparent)]
    App(#[from] AppError),
    /// Nothing listens.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// HTTPS without a certificate.
    #[error("systemd hands over a socket for https, but the configuration has no [tls]")]
    NoCertificate,
    /// The system refuses.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Serves until SIGTERM.
///
/// # Errors
/// [`ServeError`].
pub fn run(configuration: Configuration) -> Result<(), ServeError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).max_blocking_threads(16).enable_all().build()?;
    let ended = runtime.block_on(serve(configuration));
    // Work on files may still wait for the disk.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

async fn serve(configuration: Configuration) -> Result<(), ServeError> {
    let mut end = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let sockets = sockets::open(&configuration.listen)?;
    let certificate = configuration.tls.clone().map(Certificates::new).transpose()?;
    if certificate.is_none() && sockets.iter().any(|(speech, _)| *speech == Speech::Https) {
        return Err(ServeError::NoCertificate);
    }
    let limits = configuration.limits.clone();
    let app = App::new(configuration)?;
    let (stop, stopped) = watch::channel(false);
    let acceptor = certificate.as_ref().map(|it| it.server().map(TlsAcceptor::from)).transpose()?;
    let door = Door::new(router::router(&app), router::plain(&app), acceptor, limits, stopped);
    for (speech, listener) in sockets {
        tokio::spawn(Arc::clone(&door).accept(speech, listener));
    }
    if let Some(certificate) = &certificate {
        tokio::spawn(Arc::clone(certificate).watch());
    }
    tokio::spawn(sweep(Arc::clone(&app)));
    tokio::spawn(crate::mailbox::sweeper(Arc::downgrade(&app)));
    tokio::spawn(crate::outbox::run(Arc::downgrade(&app)));
    notify("READY=1");
    loop {
        tokio::select! {
            _ = end.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => if let Some(certificate) = &certificate { certificate.reload() },
        }
    }
    notify("STOPPING=1");
    let _ = stop.send(true);
    let emptied = async {
        while door.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(FAREWELL, emptied).await.is_err() {
        journal::warning(&format!("{} connections did not end in time", door.open()));
    }
    Ok(())
}

async fn sweep(app: Arc<App>) {
    loop {
        if let Err(error) = app.sessions.sweep().await {
            journal::warning(&error.to_string());
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// Tells systemd (sd_notify(3)), where it listens.
fn notify(state: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| match path.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)
        }
        None => socket.send_to(state.as_bytes(), &path),
    });
    if let Err(error) = sent {
        journal::warning(&format!("cannot tell systemd {state}: {error}"));
    }
}
