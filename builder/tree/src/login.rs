//! PAM's shared stacks and the files that logins read.
//!
//! In: which modules are in the tree. Out: what `pam-auth-update` writes from the profile
//! `unix` (libpam-runtime's `/usr/share/pam-configs/unix`), and systemd's where it is installed.

use crate::draft::{Draft, FixupError};

/// Writes the five `common-*` stacks, `/etc/environment` and the empty `opasswd`.
pub(crate) fn write(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    let logind = draft.tree.iter().any(|(path, _)| path.name() == "pam_systemd.so");
    let session = session_stack(logind);
    for (name, stack) in [
        ("account", ACCOUNT),
        ("auth", AUTH),
        ("password", PASSWORD),
        ("session", session.as_str()),
        ("session-noninteractive", SESSION),
    ] {
        draft.write_default(&format!("etc/pam.d/common-{name}"), stack)?;
    }
    draft.write_default("etc/environment", "")?;
    if !draft.has("etc/security/opasswd")? {
        draft.write("etc/security/opasswd", *b"", 0o600)?;
    }
    Ok(())
}

const ACCOUNT: &str = "\
account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so
account\trequisite\tpam_deny.so
account\trequired\tpam_permit.so
";

/// Debian's stack but for `nullok`: an empty password opens nothing here.
const AUTH: &str = "\
auth\t[success=1 default=ignore]\tpam_unix.so
auth\trequisite\tpam_deny.so
auth\trequired\tpam_permit.so
";

const PASSWORD: &str = "\
password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt
password\trequisite\tpam_deny.so
password\trequired\tpam_permit.so
";

const SESSION: &str = "\
session\t[default=1]\tpam_permit.so
session\trequisite\tpam_deny.so
session\trequired\tpam_permit.so
session\toptional\tpam_umask.so
session\trequired\tpam_unix.so
";

fn session_stack(logind: bool) -> String {
    let systemd = if logind { "session\toptional\tpam_systemd.so\n" } else { "" };
    format!("{SESSION}{systemd}")
}
