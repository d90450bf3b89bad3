//! Secrets on a copy of a disk: part of `prepare`, which owns them.
//!
//! In: the instance that the cloud names now, and the one that the secrets were made on. Out: nothing, or a
//! folder of secrets out of the way of new ones.

use std::fs;
use std::io;

use super::CommandError;
use super::prepare::read_text;
use crate::durable;
use crate::journal;
use crate::layout::Layout;

/// On a copy of a disk, the secrets of the machine that it was copied from are set aside, and all are made
/// anew. They are not deleted: whoever has moved a machine, and not copied it, wants its DKIM keys back.
///
/// # Errors
/// [`CommandError`] when they stay where they are.
pub(super) fn set_aside(layout: &Layout) -> Result<(), CommandError> {
    let Some(now) = read_text(&layout.cloud().instance)? else { return Ok(()) };
    let path = layout.instance();
    let former = match read_text(&path)? {
        Some(former) if former == now => return Ok(()),
        former => former,
    };
    if let Some(former) = former {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = former.chars().map(plain).take(100).collect();
        // A disk that went back and forth has more than one such folder.
        let places = (0..).map(|count: u32| match count {
            0 => layout.state().join(format!("secrets-of-{name}")),
            count => layout.state().join(format!("secrets-of-{name}.{count}")),
        });
        let Some(aside) = places.take(1000).find(|place| !place.exists()) else { return Ok(()) };
        match fs::rename(layout.secrets(), &aside) {
            Ok(()) => journal::warn(&format!(
                "this disk was copied from the instance {former}: its secrets are now in {}, and new ones are made",
                aside.display()
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CommandError::Kept(layout.secrets(), error)),
        }
    }
    Ok(durable::write(&path, now.as_bytes(), 0o600, None)?)
}
