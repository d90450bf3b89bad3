//! `console`: the status on every console of the appliance, until the machine stops.
//!
//! In: the running appliance. Out: lines on the devices of `appliance.json`, and nowhere else:
//! the journal can be read by more people than stand in front of the machine. Passwords are shown
//! once per boot until `forget-passwords`; the rest again whenever it changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::CommandError;
use super::status::{look, look_up};
use crate::appliance::Appliance;
use crate::deadline::Deadline;
use crate::journal;
use crate::layout::Layout;
use crate::renewal;
use crate::screen::{self, InitialPasswords};
use crate::secrets::{SecretName, Secrets};

/// Pause between two checks of an appliance that is not ready, and of one that is: every check
/// sends a message and writes to the disk.
const WHILE_BROKEN: Duration = Duration::from_secs(10);
const WHILE_FINE: Duration = Duration::from_secs(15 * 60);
/// Pause between two rounds of DNS questions.
const DNS: Duration = Duration::from_secs(15 * 60);
/// For writing one block to one device: a serial line at 9600 baud takes about as many seconds.
const WRITING: Duration = Duration::from_secs(10);

/// Runs the command; it ends only with an error.
///
/// # Errors
/// [`CommandError`] when no console can be written to.
pub(super) fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let secrets = Secrets::new(layout.secrets());
    let consoles = &appliance.consoles;
    let (mut status, mut dns) = (Vec::new(), Vec::new());
    let mut dns_asked: Option<Instant> = None;
    let mut passwords = Some(());
    loop {
        let now = look(layout, &appliance);
        let ready = now.last().is_some_and(|line| line == "ready");
        if now != status {
            let mut block = Vec::new();
            // With the first word that all is well: accounts exist then.
            if ready && passwords.take().is_some() {
                block = initial_passwords(&secrets)?.lines();
            }
            block.extend(now.clone());
            show(consoles, &block)?;
            status = now;
        }
        if dns_asked.is_none_or(|asked| asked.elapsed() > DNS) {
            let findings = look_up(layout, &appliance);
            let now = screen::dns(&findings);
            dns_asked = Some(Instant::now());
            if now != dns {
                show_each(consoles, |path| match is_screen(path) {
                    true => screen::dns_in_short(&findings),
                    false => now.clone(),
                })?;
                dns = now;
            }
        }
        if let Err(error) = renewal::tell_the_administrator(layout, &appliance) {
            // It is on the console already, and tried again.
            journal::warn(&format!("the administrator could not be told by mail: {error}"));
        }
        sleep(if ready { WHILE_FINE } else { WHILE_BROKEN });
    }
}

/// What has been made on this device and was not written down yet.
fn initial_passwords(secrets: &Secrets) -> Result<InitialPasswords, CommandError> {
    if secrets.read(&SecretName::acknowledged())?.is_some() {
        return Ok(InitialPasswords::default());
    }
    let mut accounts = Vec::new();
    for name in secrets.initial_passwords()? {
        if let (Some(address), Some(password)) = (name.account_address(), secrets.read(&name)?) {
            accounts.push((address, password));
        }
    }
    // Who brought a password of his own needs not see the one that the agent works with.
    let administrator = match secrets.read(&SecretName::administrator_hash())? {
        Some(_) => None,
        None => secrets.read(&SecretName::admin_password())?,
    };
    Ok(InitialPasswords { administrator, accounts })
}

/// Writes a block to all devices; one that is missing or stuck does not keep the others.
fn show(consoles: &[PathBuf], lines: &[String]) -> Result<(), CommandError> {
    show_each(consoles, |_| lines.to_vec())
}

/// The same with a block for each device. What could not be written to is said on the others: nobody
/// reads the journal of a machine whose screen stays dark.
fn show_each(
    consoles: &[PathBuf],
    block: impl Fn(&Path) -> Vec<String>,
) -> Result<(), CommandError> {
    let mut fine = Vec::new();
    let mut broken = Vec::new();
    for path in consoles {
        match write(path, &text(&block(path))) {
            Ok(()) => fine.push(path),
            Err(error) => {
                let message = format!("cannot write to the console {}: {error}", path.display());
                journal::warn(&message);
                broken.push(message);
            }
        }
    }
    for path in fine.iter().filter(|_| !broken.is_empty()) {
        if let Err(error) = write(path, &text(&broken)) {
            journal::warn(&format!("cannot write to the console {}: {error}", path.display()));
        }
    }
    if fine.is_empty() && !consoles.is_empty() { Err(CommandError::NoConsole) } else { Ok(()) }
}

fn text(lines: &[String]) -> String {
    format!("\r\n{}", screen::render(lines, "\r\n"))
}

/// Whether the device is a screen of 25 lines or few more, from which lines are gone that have scrolled
/// away: `/dev/tty1`, not `/dev/ttyS0`.
fn is_screen(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("tty").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Opened anew each time: a console that was unplugged comes back. Without blocking, since a serial
/// line without a carrier would block for ever, and without making it our controlling terminal.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let flags = (OFlag::O_NOCTTY | OFlag::O_NONBLOCK).bits();
    let device = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    write_all(device, text.as_bytes(), Deadline::after(WRITING))
}

fn write_all(mut device: File, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
    while !bytes.is_empty() {
        match device.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                deadline.remaining()?;
                sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::Address;

    #[test]
    fn passwords_until_they_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path());
        let address = Address::try_from("a/b@example.org".to_owned()).unwrap();
        secrets.write(&SecretName::admin_password(), "aaaa").unwrap();
        secrets.write(&SecretName::account(&address), "bbbb").unwrap();
        secrets.write(&SecretName::probe_password(), "never shown").unwrap();
        assert_eq!(
            initial_passwords(&secrets).unwrap().lines()[..2],
            ["admin password aaaa", "account a/b@example.org password bbbb"]
        );
        secrets.write(&SecretName::administrator_hash(), "$6$").unwrap();
        assert_eq!(
            initial_passwords(&secrets).unwrap().lines()[0],
            "account a/b@example.org password bbbb"
        );
        secrets.write(&SecretName::acknowledged(), "yes").unwrap();
        assert_eq!(initial_passwords(&secrets).unwrap().lines(), Vec::<String>::new());
    }

    #[test]
    fn one_dead_console_does_not_keep_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let (fine, gone) = (directory.path().join("tty"), directory.path().join("no/tty"));
        std::fs::write(&fine, "").unwrap();
        let lines = ["ready".to_owned()];
        show(&[gone.clone(), fine.clone()], &lines).unwrap();
        let shown = std::fs::read_to_string(&fine).unwrap();
        // The file is opened anew and from its start: what was written last is what it begins with.
        let complaint = format!("\r\nmailkiln: cannot write to the console {}: ", gone.display());
        assert!(shown.starts_with(&complaint), "{shown}");
        std::fs::write(&fine, "").unwrap();
        show(std::slice::from_ref(&fine), &lines).unwrap();
        assert_eq!(std::fs::read_to_string(&fine).unwrap(), "\r\nmailkiln: ready\r\n");
        assert!(matches!(show(&[gone], &lines), Err(CommandError::NoConsole)));
        show(&[], &lines).unwrap();
    }

    #[test]
    fn screens_are_told_from_serial_lines() {
        for (path, screen) in [
            ("/dev/tty1", true),
            ("/dev/tty0", true),
            ("/dev/ttyS0", false),
            ("/dev/ttyAMA10", false),
            ("/dev/hvc0", false),
            ("/dev/tty", false),
        ] {
            assert_eq!(is_screen(Path::new(path)), screen, "{path}");
        }
    }
}
