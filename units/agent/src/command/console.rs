//! `console`: the status on every console of the appliance, until the machine stops.
//!
//! In: the running appliance. Out: lines on the devices of `appliance.json`, and nowhere else:
//! the journal can be read by more people than stand in front of the machine. First passwords are
//! shown once per boot, in the first hour, and never where a cloud keeps what is written; the rest
//! again whenever it changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use time::OffsetDateTime;

use super::CommandError;
use super::status::{look, look_up};
use crate::api::Api;
use crate::appliance::{Address, Appliance};
use crate::deadline::Deadline;
use crate::first_passwords::{self, Age};
use crate::journal;
use crate::layout::Layout;
use crate::notice::{self, Notice};
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
/// Says, as a credential, that whoever can read a recorded console may see first passwords.
const SHOW_ANYWAY: &str = "show-passwords";
/// Clears a virtual console, what has scrolled off it too: console_codes(4).
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Runs the command; it ends only with an error.
///
/// # Errors
/// [`CommandError`] when no console can be written to.
pub(super) fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let consoles = &appliance.consoles;
    let (mut status, mut dns) = (Vec::new(), Vec::new());
    let mut dns_asked: Option<Instant> = None;
    let mut passwords = FirstPasswords::new(layout, &appliance, recorded(&appliance));
    loop {
        let now = look(layout, &appliance);
        let ready = now.last().is_some_and(|line| line == "ready");
        if now != status {
            // With the first word that all is well: accounts exist then.
            if ready {
                passwords.show_once()?;
            }
            show(consoles, &now)?;
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
        if ready && passwords.pass()? {
            // The screen was cleared: what is still true is said again.
            show(consoles, &status)?;
            show(consoles, &dns)?;
        }
        if let Err(error) = renewal::tell_the_administrator(layout, &appliance) {
            // It is on the console already, and tried again.
            journal::warn(&format!("the administrator could not be told by mail: {error}"));
        }
        sleep(if ready { WHILE_FINE } else { WHILE_BROKEN });
    }
}

/// The consoles that may not show first passwords.
fn recorded(appliance: &Appliance) -> &[PathBuf] {
    let said =
        Layout::credentials().map(|folder| std::fs::read_to_string(folder.join(SHOW_ANYWAY)));
    match said {
        Some(Ok(text)) if text.trim() == "yes" => &[],
        _ => &appliance.recorded_consoles,
    }
}

/// What becomes of first passwords while the appliance runs.
struct FirstPasswords<'a> {
    layout: &'a Layout,
    appliance: &'a Appliance,
    recorded: &'a [PathBuf],
    secrets: Secrets,
    age: Age,
    counted: Option<Instant>,
    /// Shown in this boot, and not taken off the screens yet.
    on_screen: bool,
}

impl<'a> FirstPasswords<'a> {
    fn new(layout: &'a Layout, appliance: &'a Appliance, recorded: &'a [PathBuf]) -> Self {
        let secrets = Secrets::new(layout.secrets());
        let age = Age::read(&layout.first_passwords());
        Self { layout, appliance, recorded, secrets, age, counted: None, on_screen: false }
    }

    /// Shows them where that may be, at the first call.
    fn show_once(&mut self) -> Result<(), CommandError> {
        if self.counted.replace(Instant::now()).is_some() {
            return Ok(());
        }
        let passwords = initial_passwords(&self.secrets)?;
        if passwords.lines().is_empty() {
            return Ok(());
        }
        let may_show = self.age.may_show();
        self.age.boot();
        self.age.write(&self.layout.first_passwords())?;
        let (mut private, mut public) = (Vec::new(), Vec::new());
        for console in &self.appliance.consoles {
            let list = if may_show && !self.recorded.contains(console) {
                &mut private
            } else {
                &mut public
            };
            list.push(console.clone());
        }
        // A screen that is not there has a line in the journal, and keeps no service from running.
        self.on_screen = show(&private, &passwords.lines()).is_ok() && !private.is_empty();
        match show(&public, &[passwords.hint(may_show)]) {
            Err(CommandError::NoConsole) if !private.is_empty() => Ok(()),
            other => other,
        }
    }

    /// Counts the time, reminds, ends. Returns true when the screens were cleared.
    fn pass(&mut self) -> Result<bool, CommandError> {
        let Some(counted) = self.counted else { return Ok(false) };
        if initial_passwords(&self.secrets)?.lines().is_empty() {
            return Ok(self.clear());
        }
        self.age.pass(counted.elapsed());
        self.counted = Some(Instant::now());
        self.remind()?;
        self.age.write(&self.layout.first_passwords())?;
        if self.age.is_over() {
            self.end();
        }
        Ok(!self.age.may_show() && self.clear())
    }

    /// Takes them off the virtual consoles; a serial line cannot be cleared.
    fn clear(&mut self) -> bool {
        let cleared = std::mem::take(&mut self.on_screen);
        for console in self.appliance.consoles.iter().filter(|it| cleared && is_virtual(it)) {
            if let Err(error) = write(console, CLEAR) {
                journal::warn(&format!("cannot clear the console {}: {error}", console.display()));
            }
        }
        cleared
    }

    fn remind(&mut self) -> Result<(), CommandError> {
        for name in self.secrets.initial_passwords()? {
            let Some(Ok(account)) = name.account_address().map(Address::try_from) else { continue };
            if !self.age.reminds(account.as_str()) {
                continue;
            }
            let notice = Notice {
                recipient: &account,
                subject: "Choose a password of your own",
                body: &reminder(self.appliance),
            };
            let now = OffsetDateTime::now_utc();
            if let Err(error) = notice::send(self.layout, self.appliance, &notice, now) {
                journal::warn(&format!("{account} could not be reminded: {error}"));
            }
        }
        Ok(())
    }

    fn end(&self) {
        let ended = notice::certificate(self.layout, self.appliance)
            .map_err(|error| error.to_string())
            .and_then(|certificate| {
                let password = self.secrets.require(&SecretName::admin_password());
                let password = password.map_err(|error| error.to_string())?;
                let api = Api::new(&self.appliance.api, &password);
                first_passwords::end(self.appliance, &api, &self.secrets, &certificate)
                    .map_err(|error| error.to_string())
            });
        match ended {
            Ok(lines) => lines.iter().for_each(|line| journal::note(line)),
            Err(error) => {
                journal::warn(&format!("first passwords could not be ended: {error}; tried again"));
            }
        }
    }
}

/// `/dev/tty0`, `/dev/tty1`: a screen and its keyboard.
fn is_virtual(console: &Path) -> bool {
    let name = console.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix("tty")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn reminder(appliance: &Appliance) -> String {
    let host = &appliance.host;
    format!(
        "{host} generated the password of this account on its first day and showed it\r\n\
         on its console. Choose your own: https://{host}/\r\n\
         \r\n\
         If the account stays unused, this password expires in two days. Reading this\r\n\
         message in your mail program is enough to keep it.\r\n"
    )
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

    /// A device with a screen and a serial port that a cloud records.
    fn device() -> (tempfile::TempDir, Layout, Appliance) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        std::fs::create_dir_all(layout.secrets()).unwrap();
        let secrets = Secrets::new(layout.secrets());
        secrets.write(&SecretName::admin_password(), "aaaa").unwrap();
        let mut appliance = crate::appliance::tests::example();
        let device = |name: &str| root.path().join(name);
        appliance.consoles = vec![device("tty1"), device("ttyS0")];
        appliance.recorded_consoles = vec![device("ttyS0")];
        for console in &appliance.consoles {
            std::fs::write(console, "").unwrap();
        }
        (root, layout, appliance)
    }

    #[test]
    fn a_console_that_is_recorded_shows_a_hint_and_no_password() {
        let (_root, layout, appliance) = device();
        let mut passwords = FirstPasswords::new(&layout, &appliance, recorded(&appliance));
        passwords.show_once().unwrap();
        let [screen, serial] =
            [0, 1].map(|n| std::fs::read_to_string(&appliance.consoles[n]).unwrap());
        assert!(screen.contains("admin password aaaa"), "{screen}");
        assert!(!serial.contains("aaaa") && serial.contains("mailkiln-agent password"), "{serial}");
        // Once per boot.
        passwords.show_once().unwrap();
        assert_eq!(std::fs::read_to_string(&appliance.consoles[0]).unwrap(), screen);
    }

    #[test]
    fn after_an_hour_they_are_taken_off_the_screen_and_not_shown_again() {
        let (_root, layout, appliance) = device();
        let mut passwords = FirstPasswords::new(&layout, &appliance, &[]);
        passwords.show_once().unwrap();
        assert!(!passwords.pass().unwrap());
        passwords.age.pass(first_passwords::SHOWN);
        assert!(passwords.pass().unwrap() && !passwords.pass().unwrap());
        let screen = std::fs::read_to_string(&appliance.consoles[0]).unwrap();
        // A file is written from its start: the sequence stands where the passwords began.
        assert!(screen.starts_with(CLEAR), "{screen:?}");
        for console in &appliance.consoles {
            std::fs::write(console, "").unwrap();
        }
        FirstPasswords::new(&layout, &appliance, &[]).show_once().unwrap();
        let screen = std::fs::read_to_string(&appliance.consoles[0]).unwrap();
        assert!(!screen.contains("aaaa") && screen.contains("no longer shown"), "{screen}");
    }

    #[test]
    fn screens_and_serial_lines() {
        for (path, is_screen) in [
            ("/dev/tty0", true),
            ("/dev/tty1", true),
            ("/dev/ttyS0", false),
            ("/dev/ttyAMA0", false),
            ("/dev/tty", false),
        ] {
            assert_eq!(is_virtual(Path::new(path)), is_screen, "{path}");
        }
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
