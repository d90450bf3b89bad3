// SPDX-License-Identifier: AGPL-3.0-only

//! The mail server of a Mailkiln appliance: Stalwart's library under a `main` of ours.
//!
//! In: `--config FILE`, the files that it names, signals. Out: SMTP, LMTP, IMAP, POP3,
//! ManageSieve and HTTP on the configured sockets, a log on standard error, and
//! readiness for systemd (`Type=notify-reload`).

mod arguments;
mod certificates;
mod listeners;
mod locks;
mod shutdown;

use std::io;
use std::process::ExitCode;

use arguments::Arguments;
use sd_notify::NotifyState;
use stalwart_lib::BootManager;
use stalwart_lib::common::core::BuildServer;
use stalwart_lib::services::StartServices;
use stalwart_lib::services::broadcast::subscriber::spawn_broadcast_subscriber;
use stalwart_lib::smtp::StartQueueManager;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let outcome = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Arguments::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Arguments::Serve { config }) => runtime().and_then(|rt| rt.block_on(serve(config))),
        Err(error) => {
            eprintln!("mailkiln-mail-server: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailkiln-mail-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Boots, serves until SIGTERM or SIGINT, and ends in order.
///
/// # Errors
///
/// A store that cannot be migrated or written to, a listener that cannot be bound, or a signal that
/// cannot be caught. A configuration file that cannot be read ends the process inside
/// the library, with status 1 and a line on standard error.
async fn serve(config: std::path::PathBuf) -> io::Result<()> {
    // First of all: a signal that comes while booting must not kill the process.
    let mut signals = Signals::catch()?;

    let mut boot = Box::pin(BootManager::from_config(config)).await;
    stalwart_lib::migration::try_migrate(&boot.inner.build_server())
        .await
        .map_err(|error| io::Error::other(format!("cannot migrate the database: {error}")))?;
    boot.config.log_errors();
    boot.config.log_warnings();
    listeners::refuse_unbound(&boot.config)?;
    locks::forget(&boot.inner.build_server()).await?;

    boot.start_services().await;
    boot.start_queue_manager();
    let inner = boot.inner;
    let (stop, stopped) = listeners::spawn(boot.servers, &inner);
    spawn_broadcast_subscriber(inner.clone(), stopped);
    notify(&[NotifyState::Ready]);

    while let Request::Reload = signals.next().await {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now().ok());
        notify(&states);
        certificates::reload(&inner.build_server()).await;
        notify(&[NotifyState::Ready]);
    }
    notify(&[NotifyState::Stopping]);
    shutdown::drain(stop).await;
    Ok(())
}

/// Tells systemd, if it asked to be told. A lost message is worth a line, not a stop:
/// systemd's own timeout deals with it.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        eprintln!("mailkiln-mail-server: cannot notify systemd: {error}");
    }
}

/// What a signal asks for.
enum Request {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.hangup.recv() => Request::Reload,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.terminate.recv() => Request::Stop,
        }
    }
}
