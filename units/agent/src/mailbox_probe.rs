//! The proof that mail works: a message that is sent, arrives and is read.
//!
//! In: the appliance, the probe account's password, the certificate on disk. Out: nothing, or the
//! step that failed. The message goes from the probe account to itself and is deleted afterwards.

use std::thread::sleep;
use std::time::Duration;

use time::OffsetDateTime;

use crate::appliance::{Address, Appliance, NameError};
use crate::deadline::Deadline;
use crate::imap::Inbox;
use crate::password::{self, PasswordError};
use crate::smtp;
use crate::tls::{Connection, TlsError};

/// Pause between two looks into the mailbox.
const PAUSE: Duration = Duration::from_millis(300);

/// Other probes, or strangers, may write to the mailbox in the same second.
const NEWEST: usize = 5;

/// Why mail does not work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no domain to probe.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No random mark for the message.
    #[error(transparent)]
    Random(#[from] PasswordError),
    /// Submission failed.
    #[error("a message cannot be submitted: {0}; see `journalctl -u mail-server`")]
    Submission(#[source] TlsError),
    /// Reading failed.
    #[error("the mailbox cannot be read: {0}; see `journalctl -u mail-server`")]
    Mailbox(#[source] TlsError),
    /// The message was accepted and did not come.
    #[error("a submitted message did not arrive in time; see `journalctl -u mail-server`")]
    NotDelivered,
}

/// Sends a message and reads it.
///
/// # Errors
/// [`ProbeError`] with the step that failed before `deadline`.
pub fn run(
    appliance: &Appliance,
    password: &str,
    certificate: &[u8],
    deadline: Deadline,
) -> Result<(), ProbeError> {
    let account = appliance.probe_address()?;
    let mark = password::generate_key()?;
    let (host, at) = (&appliance.host, appliance.loopback);
    let message = message(&account, &mark, OffsetDateTime::now_utc());
    Connection::open(at.submissions, host, certificate, deadline)
        .and_then(|mut smtp| smtp::submit(&mut smtp, host, &account, password, &account, &message))
        .map_err(ProbeError::Submission)?;
    let mut inbox = Connection::open(at.imaps, host, certificate, deadline)
        .and_then(|connection| Inbox::open(connection, account.as_str(), password))
        .map_err(ProbeError::Mailbox)?;
    let arrived = wait_for(&mut inbox, &mark, deadline);
    // Whatever lies there, from this or from an interrupted probe, has served its purpose.
    if arrived.is_ok() {
        inbox.empty().and_then(|()| inbox.close()).map_err(ProbeError::Mailbox)?;
    }
    arrived
}

fn wait_for(inbox: &mut Inbox, mark: &str, deadline: Deadline) -> Result<(), ProbeError> {
    loop {
        for uid in inbox.messages().map_err(ProbeError::Mailbox)?.into_iter().rev().take(NEWEST) {
            if inbox.read(uid).map_err(ProbeError::Mailbox)?.contains(mark) {
                return Ok(());
            }
        }
        if deadline.remaining().is_ok_and(|left| left > PAUSE) {
            sleep(PAUSE);
        } else {
            return Err(ProbeError::NotDelivered);
        }
    }
}

fn message(account: &Address, mark: &str, now: OffsetDateTime) -> String {
    format!(
        "From: <{account}>\r\n\
         To: <{account}>\r\n\
         Subject: Mailkiln health check\r\n\
         Date: {date}\r\n\
         Message-ID: <{mark}@{domain}>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         \r\n\
         This message checks that mail works. It is deleted when it has been read.\r\n\
         {mark}\r\n",
        date = date(now),
        domain = account.domain(),
    )
}

/// RFC 5322 section 3.3: `Sun, 22 Nov 2026 00:19:58 +0000`.
pub(crate) fn date(now: OffsetDateTime) -> String {
    // The names of both enums are the English ones that the RFC wants.
    let day = now.weekday().to_string();
    let month = now.month().to_string();
    format!(
        "{}, {} {} {} {:02}:{:02}:{:02} +0000",
        day.get(..3).unwrap_or_default(),
        now.day(),
        month.get(..3).unwrap_or_default(),
        now.year(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_that_of_the_rfc() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_306_798).unwrap();
        assert_eq!(date(now), "Sun, 22 Nov 2026 00:19:58 +0000");
    }

    #[test]
    fn message_is_well_formed() {
        let account = Address::try_from("probe@example.org".to_owned()).unwrap();
        let text = message(&account, "MARK", OffsetDateTime::UNIX_EPOCH);
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("\r\nMessage-ID: <MARK@example.org>\r\n"));
        assert!(body.contains("\r\nMARK\r\n"));
        assert!(text.split("\r\n").all(|line| !line.contains('\n') && line.len() < 79));
    }
}
