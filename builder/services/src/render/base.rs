//! The base system: directories, kernel settings, the journal, and what is switched off.

use super::unit::{UnitText, seconds};
use super::{Files, RenderError};
use crate::user::AGENT;
use crate::{Appliance, Directory, Journal, KernelSetting, Machine, Takeover};

/// Units that must never start. There is no password to log in with at a console, and the status
/// is shown there; `mailkiln-console` would fight with a login prompt over the screen.
const MASKED: [&str; 3] = ["getty@.service", "serial-getty@.service", "console-getty.service"];

/// udev(7). Debian's own rules make screens `0600`, and serial ports `0660`: without this no status and no
/// password is ever on a screen, as the console's service is not root. Only that service is in `tty`.
const CONSOLES: &str = "\
# Made by mailkiln; every change is lost with the next image.
# The console's service writes the status to screens, as a member of the group.
SUBSYSTEM==\"tty\", KERNEL==\"tty[0-9]*|hvc[0-9]*\", GROUP=\"tty\", MODE=\"0620\"
";

/// What the agent alone reads and writes.
const SECRETS: &str = "/var/lib/mailkiln/secrets";

pub(super) fn files(files: &mut Files, appliance: &Appliance) -> Result<(), RenderError> {
    files.text("/etc/tmpfiles.d/mailkiln.conf", directories(appliance))?;
    files.text("/etc/sysctl.d/90-mailkiln.conf", kernel(&appliance.kernel))?;
    files.text("/etc/systemd/journald.conf.d/10-mailkiln.conf", journal(&appliance.journal)?)?;
    machine(files, &appliance.machine)?;
    files.text("/etc/udev/rules.d/60-mailkiln-consoles.rules", CONSOLES.to_owned())?;
    for unit in MASKED {
        files.link(&format!("/etc/systemd/system/{unit}"), "/dev/null")?;
    }
    Ok(())
}

/// Debian's time servers, which systemd-timesyncd has compiled in and forgets when others are named.
const DEBIAN_TIME: &str = "0.debian.pool.ntp.org 1.debian.pool.ntp.org";

/// systemd-system.conf(5), timesyncd.conf(5) and zram-generator.conf(5).
fn machine(files: &mut Files, machine: &Machine) -> Result<(), RenderError> {
    if let Some(watchdog) = machine.watchdog {
        let mut text = UnitText::new("system.conf");
        text.section("Manager");
        text.comment("The hardware restarts the machine when systemd no longer feeds it.");
        text.set("RuntimeWatchdogSec", seconds(watchdog))?;
        files.text("/etc/systemd/system.conf.d/10-mailkiln.conf", text.finish())?;
    }
    if !machine.time_servers.is_empty() {
        let mut text = UnitText::new("timesyncd.conf");
        text.section("Time");
        text.comment("The provider's, which needs no way out; the others when it does not answer.");
        text.set("NTP", format!("{} {DEBIAN_TIME}", machine.time_servers.join(" ")))?;
        files.text("/etc/systemd/timesyncd.conf.d/10-mailkiln.conf", text.finish())?;
    }
    if machine.compress_memory {
        let mut text = UnitText::new("zram-generator.conf");
        text.section("zram0");
        text.comment("Half of the memory, which holds about three times as much when compressed.");
        text.set("zram-size", "ram / 2")?;
        text.set("compression-algorithm", "zstd")?;
        files.text("/etc/systemd/zram-generator.conf", text.finish())?;
    }
    Ok(())
}

/// tmpfiles.d(5).
fn directories(appliance: &Appliance) -> String {
    let mut text = String::from("# Made by mailkiln; every change is lost with the next image.\n");
    for Directory { path, mode, owner, whole } in &appliance.directories {
        text.push_str(&format!("d {path} {mode:04o} {0} {0} -\n", owner.name));
        if *whole {
            text.push_str(&format!("Z {path} - {0} {0} -\n", owner.name));
        }
    }
    for Takeover { from, to } in &appliance.takeovers {
        text.push_str(&format!("C {to} - - - - {from}\n"));
    }
    // A command of an earlier image, typed by root, may have left files that the agent cannot read.
    text.push_str(&format!("Z {SECRETS} - {0} {0} -\n", AGENT));
    // journald limits the logs of this machine ID; older ones would stay for ever.
    text.push_str(&format!("e /var/log/journal - - - {}\n", seconds(appliance.journal.keep)));
    text
}

/// sysctl.d(5); a leading `-` means that a kernel without it is fine.
fn kernel(settings: &[KernelSetting]) -> String {
    let mut text = String::from("# Made by mailkiln; every change is lost with the next image.\n");
    for setting in settings {
        let optional = if setting.optional { "-" } else { "" };
        text.push_str(&format!(
            "# {}\n{optional}{} = {}\n",
            setting.reason, setting.name, setting.value
        ));
    }
    text
}

/// journald.conf(5).
fn journal(journal: &Journal) -> Result<String, RenderError> {
    let mut text = UnitText::new("journald.conf");
    text.section("Journal");
    text.set("Storage", "persistent")?;
    text.set("SystemMaxUse", journal.disk)?;
    text.set("SystemKeepFree", journal.keep_free)?;
    text.set("RuntimeMaxUse", journal.memory)?;
    text.set("SyncIntervalSec", seconds(journal.sync))?;
    text.set("MaxRetentionSec", seconds(journal.keep))?;
    text.flag("ForwardToSyslog", false)?;
    Ok(text.finish())
}
