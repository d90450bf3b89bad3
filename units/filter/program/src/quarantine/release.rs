//! Hands a quarantined message back to the mail server.
//!
//! In: an id. Out: the message in the mailboxes of those it was for, with a line on top that says
//! so. It goes to a listener of the mail server that is on loopback only, takes mail for its own
//! mailboxes only, and does not ask the filter: so nothing *in* the message says that it was
//! released, and nobody outside can pretend it.

use std::net::SocketAddr;

use super::{Entry, Id, Quarantine, QuarantineError};
use crate::smtp::{self, Outcome, SmtpError};

/// The field on top of a released message.
pub const FIELD: &str = "X-Mailkiln-Released";

/// Where released mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The mail server's listener on loopback.
    pub server: SocketAddr,
    /// Name of this host.
    pub host: String,
}

/// Why a message was not released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It can't be read, or not be deleted after it was handed over.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The mail server does not take it.
    #[error("{0} stays in the quarantine: {1}")]
    Refused(Id, SmtpError),
}

impl Quarantine {
    /// Hands a message over to the mail server. It is deleted here once everybody gets it; who was
    /// refused stays in its entry.
    ///
    /// # Errors
    /// [`ReleaseError`]; the message is still here then.
    pub fn release(&self, id: &Id, target: &Target) -> Result<Outcome, ReleaseError> {
        let entry = self.entry(id)?;
        let mut message = format!("{FIELD}: {id}\r\n").into_bytes();
        message.extend_from_slice(&self.message(id)?);
        let sent =
            smtp::send(target.server, &target.host, &entry.sender, &entry.recipients, &message);
        let outcome = sent.map_err(|error| ReleaseError::Refused(id.clone(), error))?;
        if outcome.refused.is_empty() {
            self.delete(id)?;
        } else {
            let recipients = outcome.refused.iter().map(|(address, _)| address.clone()).collect();
            self.update(&Entry { recipients, ..entry })?;
        }
        Ok(outcome)
    }
}
