//! Users of the appliance's services, with numbers that never change. Those of our own programs are in their
//! `unit.toml`; here are those of Debian's.

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

impl User {
    /// A user as its unit declares it.
    pub(crate) fn of(user: &'static mailkiln_unit::User) -> Self {
        Self { name: &user.name, id: user.id, purpose: &user.purpose }
    }
}

/// Owns what no service of ours does. Every system has it, so it is among nobody's users.
pub(crate) const ROOT: User = User { name: "root", id: 0, purpose: "Administrator" };

/// Owns the agent's state.
pub(crate) const AGENT: &str = "mailkiln";

/// Runs ClamAV's scanner. Its group may use the scanner's socket.
pub(crate) const CLAMAV: User = User { name: "clamav", id: 806, purpose: "ClamAV" };

/// Fetches ClamAV's signatures; owns `/var/lib/clamav`.
pub(crate) const FRESHCLAM: User =
    User { name: "freshclam", id: 807, purpose: "ClamAV's signatures" };
