//! What the machine of a target is like, and which machine of QEMU stands for it.

use std::ops::RangeInclusive;

use super::super::file::{HardwareTable, QemuTable};
use super::super::{Boot, Hardware, Qemu};
use crate::document::Located;
use crate::file::Text;
use crate::problem::{Flaw, Problems, Reported, shown};
use crate::rules::each;

/// Seconds that a watchdog may wait. Those of boards count 16 at most; fewer than 5 would restart a
/// machine whose card is slow.
const WATCHDOG: RangeInclusive<i64> = 5..=600;
/// MiB of memory that an appliance runs in.
const MEMORY: RangeInclusive<i64> = 256..=1 << 20;

pub(super) fn judge(
    table: Option<Located<HardwareTable>>,
    problems: &mut Problems,
) -> Result<Hardware, Reported> {
    let Some(Located { value: table, .. }) = table else { return Ok(Hardware::default()) };
    let watchdog =
        table.watchdog.map(|seconds| within(&seconds, &WATCHDOG, "a watchdog's seconds", problems));
    Ok(Hardware {
        watchdog: watchdog.transpose()?,
        worn_by_writes: table.worn_by_writes.unwrap_or(false),
    })
}

pub(super) fn qemu(
    table: Option<Located<QemuTable>>,
    boot: Option<&Boot>,
    problems: &mut Problems,
) -> Result<Option<Qemu>, Reported> {
    let Some(Located { value: table, span }) = table else { return Ok(None) };
    let mut plain = |text: Option<Text>, key: &str| match text {
        Some(text) => problems.check(&text.span, word(&text.value)),
        None => Err(problems.absent(&span, key)),
    };
    let machine = plain(table.machine, "machine");
    let network = table.network.map(|text| plain(Some(text), "network")).transpose();
    let kernel = on_esp(table.kernel, "kernel", boot, problems);
    let device_tree = on_esp(table.device_tree, "device_tree", boot, problems);
    let without = each(table.without, |text| problems.check(&text.span, compatible(&text.value)));
    let mut number = |value: Option<Located<i64>>, key: &str, range: &RangeInclusive<i64>| {
        let value = value.ok_or_else(|| problems.absent(&span, key))?;
        within(&value, range, &format!("`qemu.{key}`"), problems)
    };
    let memory = number(table.memory, "memory", &MEMORY);
    let serial = number(table.serial, "serial", &(0..=3));
    Ok(Some(Qemu {
        machine: machine?,
        memory: memory?,
        kernel: kernel?,
        device_tree: device_tree?,
        without: without?,
        network: network?,
        serial: serial?,
    }))
}

/// A name that is handed to QEMU, where a comma would begin an option.
fn word(text: &str) -> Result<String, Flaw> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Flaw::new(
            format!("`{}` is not a name that QEMU has", shown(text)),
            "letters, digits, `_` and `-`",
            "see `qemu-system-aarch64 -M help` and `-device help`",
        )),
    }
}

/// A string of a device's `compatible` (Devicetree Specification 2.3.1).
fn compatible(text: &str) -> Result<String, Flaw> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-,.+".contains(c);
    match text.contains(',') && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Flaw::new(
            format!("`{}` names no device", shown(text)),
            "not a manufacturer and a model",
            "write it as in the device tree, like `brcm,bcm2835-pm`",
        )),
    }
}

/// A file that the target puts on the ESP.
fn on_esp(
    text: Option<Text>,
    key: &str,
    boot: Option<&Boot>,
    problems: &mut Problems,
) -> Result<String, Reported> {
    let text = text.ok_or_else(|| problems.absent(&(0..0), &format!("qemu.{key}")))?;
    let has = |boot: &Boot| {
        let files = boot.files.iter().map(|file| &file.path);
        files.chain(boot.device_trees.iter().map(|tree| &tree.path)).any(|path| *path == text.value)
    };
    if boot.is_none_or(has) {
        return Ok(text.value);
    }
    let message = format!("`{}` is not on the ESP", shown(&text.value));
    let flaw = Flaw::new(message, "no such file", "name one of `boot.files` or a device tree");
    Err(problems.add(flaw.at(&text.span)))
}

fn within(
    value: &Located<i64>,
    range: &RangeInclusive<i64>,
    what: &str,
    problems: &mut Problems,
) -> Result<u32, Reported> {
    let fits = range.contains(&value.value).then(|| u32::try_from(value.value).ok()).flatten();
    let flaw = || {
        let cure = format!("write a number from {} to {}", range.start(), range.end());
        Flaw::new(format!("{} can't be {what}", value.value), "out of range", cure)
    };
    problems.check(&value.span, fits.ok_or_else(flaw))
}
