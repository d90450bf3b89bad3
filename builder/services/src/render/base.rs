//! The base system: directories, kernel settings, the journal, and what is switched off.

use super::unit::{UnitText, seconds};
use super::{Files, RenderError};
use crate::{Appliance, Directory, Journal, KernelSetting};

/// Units that must never start. There is no password to log in with at a console, and the status
/// is shown there; `mailkiln-console` would fight with a login prompt over the screen.
const MASKED: [&str; 3] = ["getty@.service", "serial-getty@.service", "console-getty.service"];

pub(super) fn files(files: &mut Files, appliance: &Appliance) -> Result<(), RenderError> {
    files.text("/etc/tmpfiles.d/mailkiln.conf", directories(appliance))?;
    files.text("/etc/sysctl.d/90-mailkiln.conf", kernel(&appliance.kernel))?;
    files.text("/etc/systemd/journald.conf.d/10-mailkiln.conf", journal(&appliance.journal)?)?;
    for unit in MASKED {
        files.link(&format!("/etc/systemd/system/{unit}"), "/dev/null")?;
    }
    Ok(())
}

/// tmpfiles.d(5).
fn directories(appliance: &Appliance) -> String {
    let mut text = String::from("# Made by mailkiln; every change is lost with the next image.\n");
    for Directory { path, mode, owner } in &appliance.directories {
        text.push_str(&format!("d {path} {mode:04o} {0} {0} -\n", owner.name));
    }
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
    text.set("MaxRetentionSec", seconds(journal.keep))?;
    text.flag("ForwardToSyslog", false)?;
    Ok(text.finish())
}
