//! Which partition is `/var`: the one on the root's disk, by its GUID, and no other that is called so.
//!
//! In: the GUID of `/var`. Out: drop-ins below `/run` that name it to systemd: where `var.mount` finds
//! it, that it is checked first, and how long it may take to appear. Without them the unit of the
//! image names a device that cannot exist, so that a card or USB stick with the label `var` never
//! becomes the state of this machine. Sources: systemd.mount(5), systemd-fsck@.service(8).

use std::fs;
use std::io;
use std::path::Path;

use crate::gpt::Guid;

/// Where systemd looks for what holds until the next boot.
const UNITS: &str = "/run/systemd/system";

/// Seconds that `/var` may take to appear: the first boot makes it, on an SD card.
const APPEARS_WITHIN: u32 = 300;

/// Names the partition `var` to systemd.
///
/// # Errors
/// `/run` cannot be written.
pub fn name_var(var: Guid) -> io::Result<()> {
    for (name, text) in drop_ins(var) {
        let path = Path::new(UNITS).join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn drop_ins(var: Guid) -> [(String, String); 2] {
    // systemd-escape(1), `--path`: of what is in the path, only the dashes change.
    let escaped = format!("dev-disk-by\\x2dpartuuid-{}", var.to_string().replace('-', "\\x2d"));
    let check = format!("systemd-fsck@{escaped}.service");
    [
        (
            "var.mount.d/10-partition.conf".to_owned(),
            format!(
                "[Unit]\nRequires={check}\nAfter={check}\n\
                 [Mount]\nWhat=/dev/disk/by-partuuid/{var}\n"
            ),
        ),
        (
            format!("{escaped}.device.d/10-partition.conf"),
            format!("[Unit]\nJobRunningTimeoutSec={APPEARS_WITHIN}s\n"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_the_guid_and_checks_what_it_mounts() {
        let guid = Guid::from_text_order(
            *b"\x00\x11\x22\x33\x44\x55\x46\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
        );
        let device = "dev-disk-by\\x2dpartuuid-\
                      00112233\\x2d4455\\x2d4677\\x2d8899\\x2daabbccddeeff";
        let [mount, wait] = drop_ins(guid);
        assert_eq!(mount.0, "var.mount.d/10-partition.conf");
        assert_eq!(
            mount.1,
            format!(
                "[Unit]\nRequires=systemd-fsck@{device}.service\n\
                 After=systemd-fsck@{device}.service\n[Mount]\n\
                 What=/dev/disk/by-partuuid/00112233-4455-4677-8899-aabbccddeeff\n"
            )
        );
        assert_eq!(wait.0, format!("{device}.device.d/10-partition.conf"));
    }
}
