//! What the first boot makes of the disk: repart.d(5), and the mount of `/var`.

use super::unit::UnitText;
use super::{Files, RenderError};
use crate::{Disk, declared, mail_server};

/// A device that there cannot be. `/init` alone knows which partition is `/var`, the one on the root's
/// own disk, and names it in a drop-in; a label could be any card's or USB stick's.
const NAMED_BY_INIT: &str = "/dev/disk/by-partuuid/00000000-0000-0000-0000-000000000000";

pub(super) fn files(files: &mut Files, disk: &Disk) -> Result<(), RenderError> {
    let partitions = [
        // The order is that of the disk: systemd-repart gives the first definition of a type to
        // the first partition of that type, and makes what is left over.
        ("10-root-a", slot("root", "root-a", disk.slots.root)?),
        ("11-root-a-verity", slot("root-verity", "root-a-verity", disk.slots.verity)?),
        ("20-root-b", slot("root", "root-b", disk.slots.root)?),
        ("21-root-b-verity", slot("root-verity", "root-b-verity", disk.slots.verity)?),
        ("30-var", var(disk.var_minimum)?),
    ];
    for (name, text) in partitions {
        files.text(&format!("/etc/repart.d/{name}.conf"), text)?;
    }
    files.text("/etc/systemd/system/systemd-repart.service.d/10-mailkiln.conf", no_discard()?)?;
    files.text("/etc/systemd/system/var.mount", var_mount(disk.commit)?)?;
    files.link("/etc/systemd/system/local-fs.target.requires/var.mount", "../var.mount")?;
    files.link(
        "/etc/systemd/system/var.mount.wants/systemd-growfs@var.service",
        "/usr/lib/systemd/system/systemd-growfs@.service",
    )
}

/// systemd-repart(8) discards whatever lies between partitions, and a board's loader lies before the
/// first one: on a medium that discards it would be zeros after the first boot.
fn no_discard() -> Result<String, RenderError> {
    let mut text = UnitText::new("systemd-repart.service");
    text.section("Service");
    text.set("ExecStart", "")?;
    text.set("ExecStart", "/usr/bin/systemd-repart --dry-run=no --discard=no")?;
    text.comment(
        "The last 5 % of /var are for the mail server alone: mkfs(8) -m, ext4(5) resuid=.",
    );
    text.set("Environment", "\"SYSTEMD_REPART_MKFS_OPTIONS_EXT4=-m 5\"")?;
    Ok(text.finish())
}

/// A slot of exactly its size. For the slot that is there already this means: leave it alone.
/// Without `SizeMaxBytes=` it would be grown into free space behind it, without `SizeMinBytes=`
/// to 10 MiB.
fn slot(kind: &str, label: &str, size: u64) -> Result<String, RenderError> {
    let mut text = UnitText::new(label);
    text.section("Partition");
    text.set("Type", kind)?;
    text.set("Label", label)?;
    text.set("SizeMinBytes", size)?;
    text.set("SizeMaxBytes", size)?;
    text.set("Weight", 0)?;
    text.flag("GrowFileSystem", false)?;
    Ok(text.finish())
}

/// All that is left, also when the disk has become larger since the last boot.
fn var(minimum: u64) -> Result<String, RenderError> {
    let mut text = UnitText::new("var");
    text.section("Partition");
    text.set("Type", "var")?;
    text.set("Label", "var")?;
    text.set("Format", "ext4")?;
    text.set("SizeMinBytes", minimum)?;
    text.flag("GrowFileSystem", true)?;
    Ok(text.finish())
}

/// State, not programs: nothing on `/var` is executed, changes identity or is a device. Times of
/// reading are not written, which spares SD cards. After damage to the file system nothing more is
/// written: mail is deferred rather than lost. What the file system reserves is the mail server's: when
/// others have filled the disk, it can still delete.
fn var_mount(commit: Option<u32>) -> Result<String, RenderError> {
    let mut text = UnitText::new("var.mount");
    text.section("Unit");
    text.set("Description", "State of the appliance")?;
    text.flag("DefaultDependencies", false)?;
    text.set("Conflicts", "umount.target")?;
    text.set("After", "local-fs-pre.target systemd-repart.service")?;
    text.set("Before", "local-fs.target umount.target")?;
    text.section("Mount");
    text.comment("/init names the partition: /run/systemd/system/var.mount.d/10-partition.conf.");
    text.set("What", NAMED_BY_INIT)?;
    text.set("Where", "/var")?;
    text.set("Type", "ext4")?;
    let commit = commit.map_or(String::new(), |seconds| format!(",commit={seconds}"));
    let options = "nosuid,nodev,noexec,noatime,errors=remount-ro";
    let reserved = declared::named(mail_server::NAME)
        .map_or_else(String::new, |user| format!(",resuid={}", user.id));
    text.set("Options", format_args!("{options}{reserved}{commit}"))?;
    text.section("Install");
    text.set("RequiredBy", "local-fs.target")?;
    Ok(text.finish())
}
