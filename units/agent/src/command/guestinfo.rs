//! `cloud guestinfo`: VMware's variables, asked for by a process of its own.
//!
//! In: what the hypervisor says. Out: JSON on standard output, variables by their names. The instruction ends a process that
//! may not execute it: so `cloud local` starts this one, and goes on without it. It needs no privilege.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command as Program, Stdio};

use super::{CommandError, print};
use crate::cloud::answers::Answers;
use crate::cloud::guestinfo::{self, Backdoor, GuestInfoError};
use crate::cloud::source::vmware;

/// Prints the variables, or overwrites those that may have a secret.
///
/// # Errors
/// [`CommandError::GuestInfo`], or no standard output.
pub(super) fn run(redact: bool) -> Result<(), CommandError> {
    let mut port = Backdoor::find().ok_or(GuestInfoError::Elsewhere)?;
    if redact {
        for (name, value) in vmware::REDACTED {
            guestinfo::set(&mut port, name, value)?;
        }
        return Ok(());
    }
    let mut found = BTreeMap::new();
    for name in vmware::VARIABLES {
        if let Some(bytes) = guestinfo::get(&mut port, name)? {
            found.insert(name, bytes);
        }
    }
    print(&serde_json::to_string(&found).unwrap_or_default())
}

/// Whoever asks the hypervisor; in tests nobody does.
pub(super) trait Asking {
    /// The variables that are set, or why they are not known.
    fn variables(&self) -> Result<Answers, String>;

    /// Overwrites what may have a secret.
    fn redact(&self) -> Result<(), String>;
}

/// This program once more.
pub(super) struct Child;

impl Asking for Child {
    fn variables(&self) -> Result<Answers, String> {
        let said = child(&["cloud", "guestinfo"])?;
        let mut known: BTreeMap<String, Vec<u8>> =
            serde_json::from_slice(&said).map_err(|error| format!("guestinfo: {error}"))?;
        let mut answers = Answers::default();
        for name in vmware::VARIABLES {
            if let Some(bytes) = known.remove(name) {
                answers.add(name, bytes);
            }
        }
        Ok(answers)
    }

    fn redact(&self) -> Result<(), String> {
        child(&["cloud", "guestinfo", "redact"]).map(|_| ())
    }
}

/// What this program prints when it is called so.
fn child(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let done = std::env::current_exe().and_then(|program| {
        // What it says goes on a console, without the journal's marks.
        let mut again = Program::new(program);
        again.args(arguments).env_remove("JOURNAL_STREAM").stdin(Stdio::null()).output()
    });
    let done = done.map_err(|error| format!("guestinfo cannot be read: {error}"))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    if let Some(signal) = done.status.signal() {
        return Err(format!(
            "VMware lets no program ask it for guestinfo (signal {signal}); take \
             `monitor_control.restrict_backdoor` out of the machine's settings, or attach a NoCloud volume"
        ));
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let line = said.lines().next_back();
    Err(line.unwrap_or("whoever asks VMware for guestinfo ended without a word").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_vmware_that_is_said_and_nothing_is_executed() {
        if Backdoor::find().is_none() {
            let error = run(false).unwrap_err().to_string();
            assert!(error.contains("hypervisor.cpuid.v0"), "{error}");
        }
    }
}
