//! The machine ID, which a read-only `/etc` can't hold: the unique GUID of the `/var` partition.
//!
//! In: the GUID of `/var` on the disk of the root, if the first boot has made it. Out: the machine ID,
//! and on the first boot the word to systemd-repart to make `/var` with that GUID. So the identity
//! (journal, DHCP lease) moves with the state, and two cards from one image are two machines.
//! Sources: machine-id(5), repart.d(5).

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::gpt::Guid;

/// Drop-in of the definition `30-var.conf` that the builder writes.
const DROP_IN: &str = "/run/repart.d/30-var.conf.d/identity.conf";

/// A machine ID: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineId(Guid);

impl MachineId {
    /// That of the `/var` which is there, else a new one, which `/var` will be made with.
    ///
    /// # Errors
    /// No randomness, or `/run` can't be written.
    pub fn of(var: Option<Guid>) -> io::Result<Self> {
        if let Some(guid) = var {
            return Ok(Self(guid));
        }
        let made = Self::from_random(random()?);
        let path = Path::new(DROP_IN);
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, made.definition())?;
        Ok(made)
    }

    /// The GUID that `/var` has, or will be made with.
    pub fn var(self) -> Guid {
        self.0
    }

    /// A version 4 UUID (RFC 9562 section 5.4), as machine-id(5) wants it of new IDs.
    fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(Guid::from_text_order(bytes))
    }

    fn definition(self) -> String {
        format!("[Partition]\nUUID={}\n", self.0)
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().chars().filter(|c| *c != '-').try_for_each(|c| f.write_char(c))
    }
}

/// Waits for the kernel's generator to be seeded, if it has to.
fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // getrandom(2): up to 256 bytes are never cut short.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guid_of_var_is_the_identity() {
        let guid = Guid::from_text_order(
            *b"\x00\x11\x22\x33\x44\x55\x46\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
        );
        let id = MachineId::of(Some(guid)).unwrap();
        assert_eq!(id.to_string(), "00112233445546778899aabbccddeeff");
    }

    #[test]
    fn a_new_one_is_a_random_uuid_and_tells_repart() {
        let id = MachineId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffffffff4fffbfffffffffffffff");
        assert_eq!(id.definition(), "[Partition]\nUUID=ffffffff-ffff-4fff-bfff-ffffffffffff\n");
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
