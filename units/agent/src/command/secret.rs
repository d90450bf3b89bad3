//! `secret set NAME`: a secret that an administrator brings along, such as `relay-password`.
//!
//! In: its name, and its value on standard input. Out: the file that the mail server gets.

use super::{CommandError, read_secret};
use crate::journal;
use crate::layout::Layout;
use crate::password;
use crate::secrets::{SecretName, Secrets};

/// Runs the command.
///
/// # Errors
/// [`CommandError`] when the name or the value cannot be used.
pub(super) fn run(layout: &Layout, name: &str) -> Result<(), CommandError> {
    let name = SecretName::given(name)?;
    let value = read_secret()?;
    password::check(&value)?;
    Secrets::new(layout.secrets()).write(&name, &value)?;
    journal::note("run `systemctl restart mail-server` to make it count");
    Ok(())
}
