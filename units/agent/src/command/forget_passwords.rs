//! `forget-passwords`: the passwords made on the first boot have been written down.
//!
//! In: nothing. Out: initial account passwords are deleted, and neither they nor the
//! administrator's are shown on the console again.

use super::{CommandError, print};
use crate::durable;
use crate::layout::Layout;
use crate::secrets::{SecretName, Secrets};

/// Runs the command.
///
/// # Errors
/// [`CommandError`] when a file cannot be removed.
pub(super) fn run(layout: &Layout) -> Result<(), CommandError> {
    let secrets = Secrets::new(layout.secrets());
    let names = secrets.initial_passwords()?;
    // First the mark: what is still there after a power cut is not shown, and goes the next time.
    secrets.write(&SecretName::acknowledged(), "yes")?;
    for name in &names {
        secrets.remove(name)?;
    }
    durable::remove(&layout.first_passwords())?;
    print(&format!(
        "Forgot {} initial passwords. `mailkiln-agent password ADDRESS` sets a new one.\n",
        names.len()
    ))
}
