// SPDX-License-Identifier: AGPL-3.0-only

//! The mail server of a Mailkiln appliance: the command line, signals and readiness around
//! Stalwart's library.
//!
//! In: `--config FILE`, the files that it names, signals. Out: SMTP, LMTP, IMAP, POP3,
//! ManageSieve and HTTP on the configured sockets, a log on standard error, and
//! readiness for systemd (`Type=notify-reload`).
//!
//! The library boots and serves (`stalwart_lib::appliance`, patch 0026). What is generic or an
//! `async fn` there would be compiled again here, with all that it calls.

mod arguments;
mod database;

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use arguments::Arguments;
use sd_notify::NotifyState;
use stalwart_lib::appliance::{self, Running};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// For sessions that are in the middle of something. Short enough for systemd, which kills
/// after 90 s, and for a person who waits for a reboot.
const GRACE: Duration = Duration::from_secs(10);

/// For the collector's thread to hand its last batch of events to the log.
const LAST_WORDS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let outcome = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Arguments::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Arguments::Serve { config }) => {
            runtime().and_then(|rt| rt.block_on(serve(config))).map_err(Into::into)
        }
        Ok(Arguments::Check(file)) => database::check(&file).and_then(|damage| judge(&file, &damage)),
        Ok(Arguments::Repair(file)) => database::repair(&file).map(|report| print(&report)),
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

/// Prints lines on standard output.
fn print(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

/// Prints what is damaged.
///
/// # Errors
///
/// When anything is, with what to do.
fn judge(file: &Path, damage: &[String]) -> Result<(), Box<dyn Error>> {
    print(damage);
    if damage.is_empty() {
        println!("{} is whole", file.display());
        return Ok(());
    }
    Err(format!(
        "{} is damaged; restore a backup, or keep what can be read: systemctl stop mail-server.service; \
         mailkiln-mail-server repair {0}; systemctl start mail-server.service",
        file.display()
    )
    .into())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Boots, serves until SIGTERM or SIGINT, and ends in order.
///
/// # Errors
///
/// What [`appliance::start`] refuses, or a signal that cannot be caught.
async fn serve(config: std::path::PathBuf) -> io::Result<()> {
    // First of all: a signal that comes while booting must not kill the process.
    let mut signals = Signals::catch()?;

    let running = appliance::start(config).await?;
    notify(&[NotifyState::Ready]);

    while let Request::Reload = signals.next().await {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now().ok());
        notify(&states);
        reload(&running).await;
        notify(&[NotifyState::Ready]);
    }
    notify(&[NotifyState::Stopping]);
    let left = running.drain(GRACE, LAST_WORDS).await;
    if left > 0 {
        eprintln!("mailkiln-mail-server: {left} sessions did not end in time");
    }
    Ok(())
}

/// Reads the certificates again and logs how it went.
async fn reload(running: &Running) {
    let errors = running.reload_certificates().await;
    for error in &errors {
        eprintln!("mailkiln-mail-server: the old certificate stays: {error}");
    }
    if errors.is_empty() {
        eprintln!("mailkiln-mail-server: certificates read again");
    }
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
