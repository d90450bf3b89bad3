//! Messages of the appliance to the people who use it: sent by the probe's account, through the server.
//!
//! In: who gets it, a subject, a text. Out: a message that the server has accepted.

use std::fs;
use std::time::Duration;

use mailkiln_store::certificate::first_der;
use mailkiln_store::durable::DurableError;
use time::OffsetDateTime;

use crate::appliance::{Address, Appliance, NameError};
use crate::deadline::Deadline;
use crate::layout::Layout;
use crate::mailbox_probe::date;
use crate::password::{self, PasswordError};
use crate::secrets::{SecretError, SecretName, Secrets};
use crate::smtp;
use crate::tls::{Connection, TlsError};

/// For handing a message over.
const TIME: Duration = Duration::from_secs(60);

/// Why nobody was told.
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

/// What people read.
#[derive(Debug)]
pub struct Notice<'a> {
    /// Who gets it.
    pub recipient: &'a Address,
    /// One line.
    pub subject: &'a str,
    /// Lines, each ending with CRLF.
    pub body: &'a str,
}

/// The certificate that the server shows, DER.
///
/// # Errors
/// [`NoticeError::Certificate`].
pub fn certificate(layout: &Layout, appliance: &Appliance) -> Result<Vec<u8>, NoticeError> {
    let chain = fs::read_to_string(layout.chain(appliance)).unwrap_or_default();
    first_der(&chain).ok_or(NoticeError::Certificate)
}

/// Sends `notice`.
///
/// # Errors
/// [`NoticeError`].
pub fn send(
    layout: &Layout,
    appliance: &Appliance,
    notice: &Notice<'_>,
    now: OffsetDateTime,
) -> Result<(), NoticeError> {
    let account = appliance.probe_address()?;
    let password = Secrets::new(layout.secrets()).require(&SecretName::probe_password())?;
    let host = &appliance.host;
    let certificate = certificate(layout, appliance)?;
    let message = message(&account, notice, &password::generate_key()?, now);
    let at = appliance.loopback.submissions;
    let mut connection = Connection::open(at, host, &certificate, Deadline::after(TIME))?;
    smtp::submit(&mut connection, host, &account, &password, notice.recipient, &message)?;
    Ok(())
}

fn message(account: &Address, notice: &Notice<'_>, mark: &str, now: OffsetDateTime) -> String {
    format!(
        "From: <{account}>\r\n\
         To: <{recipient}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{mark}@{domain}>\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         {body}",
        recipient = notice.recipient,
        subject = notice.subject,
        date = date(now),
        domain = account.domain(),
        body = notice.body,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_well_formed() {
        let address = |text: &str| Address::try_from(text.to_owned()).unwrap();
        let recipient = address("postmaster@example.org");
        let notice = Notice { recipient: &recipient, subject: "a b", body: "one\r\ntwo\r\n" };
        let account = address("probe@example.org");
        let text = message(&account, &notice, "MARK", OffsetDateTime::UNIX_EPOCH);
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("To: <postmaster@example.org>\r\nSubject: a b\r\n"), "{header}");
        assert!(header.contains("Message-ID: <MARK@example.org>"), "{header}");
        assert_eq!(body, "one\r\ntwo\r\n");
        assert!(text.split("\r\n").all(|line| !line.contains('\n')));
    }
}
