//! A copy of a disk becomes a machine of its own.
//!
//! In: the word that the instance is another. Out: SSH host keys are gone, and there is a new machine ID.
//! Secrets and DKIM keys belong to the agent's user: `prepare` sets them aside when it sees the instance.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rand_core::{OsRng, RngCore as _};

use crate::durable::{self, DurableError};

/// A new machine ID: 32 hexadecimal digits, a version 4 UUID as machine-id(5) wants it.
///
/// # Errors
/// No randomness.
pub fn new_machine_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Removes the host keys of the machine that this was copied from; `ssh-keygen` makes others.
///
/// # Errors
/// [`DurableError`] when one stays.
pub fn remove_host_keys(folder: &Path) -> Result<(), DurableError> {
    for kind in ["ed25519", "rsa", "ecdsa"] {
        for ending in ["", ".pub"] {
            durable::remove(&folder.join(format!("ssh_host_{kind}_key{ending}")))?;
        }
    }
    Ok(())
}

/// Writes the machine ID in place: systemd has bound this very file over `/etc/machine-id`.
///
/// # Errors
/// When it can't be written.
pub fn write_machine_id(path: &Path, id: &str) -> io::Result<()> {
    let text = format!("{id}\n");
    match fs::read_to_string(path) {
        Ok(known) if known == text => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        _ => {}
    }
    fs::set_permissions(path, Permissions::from_mode(0o644))?;
    // Both texts have the same length, so no reader sees an empty file.
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    fs::set_permissions(path, Permissions::from_mode(0o444))?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_other_keys_and_another_id() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("machine-id");
        let key = folder.path().join("ssh_host_rsa_key.pub");
        fs::write(&id, format!("{}\n", "a".repeat(32))).unwrap();
        fs::set_permissions(&id, Permissions::from_mode(0o444)).unwrap();
        fs::write(&key, "x").unwrap();
        let new = new_machine_id().unwrap();
        assert_ne!(new, new_machine_id().unwrap());
        assert_eq!((new.len(), &new[12..13]), (32, "4"));
        write_machine_id(&id, &new).unwrap();
        assert_eq!(fs::read_to_string(&id).unwrap(), format!("{new}\n"));
        assert_eq!(fs::metadata(&id).unwrap().permissions().mode() & 0o777, 0o444);
        remove_host_keys(folder.path()).unwrap();
        assert!(!key.exists());
        write_machine_id(&folder.path().join("none"), &new).unwrap();
    }
}
