//! Certificates that do not come: what the ACME client wrote down, told to those who can help.
//!
//! In: its `state.json`. Out: after three days a warning for console and health, and a message to the
//! administrator, once a week. The client itself cannot send mail: it has no account, and needs none.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mailkiln_store::certificate::first_der;
use mailkiln_store::durable::{self, DurableError};
use time::OffsetDateTime;

use crate::appliance::{Address, Appliance, NameError};
use crate::deadline::Deadline;
use crate::layout::Layout;
use crate::mailbox_probe::date;
use crate::password::{self, PasswordError};
use crate::secrets::{SecretError, SecretName, Secrets};
use crate::smtp;
use crate::tls::{Connection, TlsError};

const DAY: i64 = 24 * 60 * 60;
/// Attempts fail for many reasons that pass by themselves.
const PATIENCE: i64 = 3 * DAY;
const AGAIN: i64 = 7 * DAY;
/// For handing the message over.
const TIME: Duration = Duration::from_secs(60);
/// What of an authority's own words goes into a line.
const LONGEST: usize = 300;

/// Attempts that have failed for at least three days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Whole days.
    pub days: i64,
    /// What went wrong last, in one line.
    pub reason: String,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, reason } = self;
        write!(f, "no certificate for {days} days: {reason}; see `mailkiln-acme status`")
    }
}

/// What the client wrote down; `None` while all is well, or where there is none.
pub fn failing(path: &Path, now: OffsetDateTime) -> Option<Failing> {
    parse(&fs::read_to_string(path).ok()?, now.unix_timestamp())
}

/// Reads the text of `state.json` at the time `now`, seconds since 1970.
pub fn parse(text: &str, now: i64) -> Option<Failing> {
    #[derive(serde::Deserialize)]
    struct State {
        failing: Option<Attempts>,
    }
    #[derive(serde::Deserialize)]
    struct Attempts {
        since: i64,
        reason: String,
    }
    let attempts = serde_json::from_str::<State>(text).ok()?.failing?;
    let age = now.saturating_sub(attempts.since);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let reason = attempts.reason.chars().map(clean).take(LONGEST).collect();
    (age >= PATIENCE).then_some(Failing { days: age / DAY, reason })
}

/// Why the administrator was not told.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The account that sends.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its password.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A mark for the message.
    #[error(transparent)]
    Random(#[from] PasswordError),
    /// The mail server.
    #[error(transparent)]
    Submission(#[from] TlsError),
    /// The server's certificate.
    #[error("the server's certificate cannot be read")]
    Certificate,
    /// That it was sent could not be kept.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// Sends the message when it is due.
///
/// # Errors
/// [`NoticeError`]; then it is due still.
pub fn tell_the_administrator(layout: &Layout, appliance: &Appliance) -> Result<(), NoticeError> {
    let now = OffsetDateTime::now_utc();
    let notice = layout.renewal_notice();
    let Some(failing) = failing(&layout.acme_state(), now) else {
        if notice.exists() {
            durable::remove(&notice)?;
        }
        return Ok(());
    };
    let told = fs::read_to_string(&notice).ok().and_then(|text| text.trim().parse::<i64>().ok());
    if told.is_some_and(|told| (0..AGAIN).contains(&(now.unix_timestamp() - told))) {
        return Ok(());
    }
    send(layout, appliance, &failing, now)?;
    // After it: rather two messages than none.
    durable::write(&notice, now.unix_timestamp().to_string().as_bytes(), 0o644, None)?;
    Ok(())
}

fn send(
    layout: &Layout,
    appliance: &Appliance,
    failing: &Failing,
    now: OffsetDateTime,
) -> Result<(), NoticeError> {
    let account = appliance.probe_address()?;
    let password = Secrets::new(layout.secrets()).require(&SecretName::probe_password())?;
    let host = &appliance.host;
    let chain = fs::read_to_string(layout.chain(appliance)).unwrap_or_default();
    let certificate = first_der(&chain).ok_or(NoticeError::Certificate)?;
    let mark = password::generate_key()?;
    let message = message(&account, appliance, failing, &mark, now);
    let at = appliance.loopback.submissions;
    let mut connection = Connection::open(at, host, &certificate, Deadline::after(TIME))?;
    let recipient = &appliance.postmaster;
    smtp::submit(&mut connection, host, &account, &password, recipient, &message)?;
    Ok(())
}

fn message(
    account: &Address,
    appliance: &Appliance,
    failing: &Failing,
    mark: &str,
    now: OffsetDateTime,
) -> String {
    let host = &appliance.host;
    format!(
        "From: <{account}>\r\n\
         To: <{recipient}>\r\n\
         Subject: {host} gets no certificate\r\n\
         Date: {date}\r\n\
         Message-ID: <{mark}@{domain}>\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         {host} has not been able to get a certificate for {days} days:\r\n\
         \r\n\
         {reason}\r\n\
         \r\n\
         Once the certificate in use expires, mail programs and other servers will refuse\r\n\
         to talk to it. It goes on trying. `mailkiln-acme status` on the machine says more;\r\n\
         `mailkiln-acme renew` tries at once.\r\n",
        recipient = appliance.postmaster,
        date = date(now),
        domain = account.domain(),
        days = failing.days,
        reason = failing.reason,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::tests::example;

    #[test]
    fn three_days_and_not_before() {
        let text = r#"{"failing": {"since": 1000, "reason": "no\nway", "next": 5}, "order": null}"#;
        assert_eq!(parse(text, 1000 + PATIENCE - 1), None);
        let found = parse(text, 1000 + PATIENCE).unwrap();
        assert_eq!(found, Failing { days: 3, reason: "no way".to_owned() });
        assert!(found.to_string().contains("no certificate for 3 days: no way"));
        assert_eq!(parse(r#"{"failing": null}"#, 9_000_000), None);
        assert_eq!(parse("half", 9_000_000), None);
        assert_eq!(parse(text, i64::MIN), None);
    }

    #[test]
    fn the_message_is_well_formed() {
        let account = Address::try_from("probe@example.org".to_owned()).unwrap();
        let failing = Failing { days: 4, reason: "the authority is away".to_owned() };
        let text = message(&account, &example(), &failing, "MARK", OffsetDateTime::UNIX_EPOCH);
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("To: <postmaster@example.org>"));
        assert!(body.contains("for 4 days") && body.contains("the authority is away"));
        assert!(text.split("\r\n").all(|line| !line.contains('\n')));
    }

    #[test]
    fn nothing_is_sent_while_all_is_well_and_the_notice_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        fs::create_dir_all(layout.state()).unwrap();
        fs::write(layout.renewal_notice(), "5").unwrap();
        tell_the_administrator(&layout, &example()).unwrap();
        assert!(!layout.renewal_notice().exists());
    }
}
