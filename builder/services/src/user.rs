//! Users of the appliance's own services, with numbers that never change.

/// A system user and the group of the same name and number.
///
/// The numbers are part of `/var`'s layout (`docs/internals/contracts.md`): a medium written by
/// one image must be readable by every later one, on every architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Name of the user and of its group.
    pub name: &'static str,
    /// User number, and the number of the group.
    pub id: u32,
    /// What it is for; the comment field of passwd.
    pub purpose: &'static str,
}

/// Owns what no service of ours does. Every system has it, so it is not in [`ALL`].
pub(crate) const ROOT: User = User { name: "root", id: 0, purpose: "Administrator" };

/// Runs the mail server; owns `/var/lib/mail-server`.
pub(crate) const MAIL_SERVER: User = User { name: "mail-server", id: 801, purpose: "Mail server" };

/// Runs the agent; owns `/var/lib/mailkiln`.
pub(crate) const MAILKILN: User = User { name: "mailkiln", id: 802, purpose: "Mailkiln agent" };

/// Runs the ACME client; owns `/var/lib/mailkiln-acme`. Its group may read certificates. 803 was the
/// number of a group `acme` that could, and is not given again.
pub(crate) const MAILKILN_ACME: User =
    User { name: "mailkiln-acme", id: 804, purpose: "Certificates from an authority" };

/// Runs the filter; owns `/var/lib/mailkiln/filter`. Its group may use the filter's API.
pub(crate) const MAIL_FILTER: User = User { name: "mail-filter", id: 805, purpose: "Mail filter" };

/// Runs ClamAV's scanner. Its group may use the scanner's socket.
pub(crate) const CLAMAV: User = User { name: "clamav", id: 806, purpose: "ClamAV" };

/// Fetches ClamAV's signatures; owns `/var/lib/clamav`.
pub(crate) const FRESHCLAM: User =
    User { name: "freshclam", id: 807, purpose: "ClamAV's signatures" };

/// Serves the page where people change their password; owns nothing.
pub(crate) const MAILKILN_PAGE: User =
    User { name: "mailkiln-page", id: 808, purpose: "Page to change passwords" };

/// Every user that each appliance has, by number.
pub(crate) const ALL: [User; 4] = [MAIL_SERVER, MAILKILN, MAILKILN_ACME, MAIL_FILTER];
