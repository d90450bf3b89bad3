//! Which units start: the symlinks that `systemctl preset-all` and `systemctl mask` would make.
//!
//! In: unit files with `[Install]` sections, presets, and what the caller wants on, off and
//! masked. Out: links in `/etc/systemd/system`, `default.target`, and a preset file that says
//! the same, so that the device agrees with the image.

mod install;
mod preset;

use std::collections::{BTreeMap, BTreeSet};

use crate::draft::{Draft, FixupError};
use crate::{Kind, TreePath};
use install::Install;
use preset::Presets;

const LINKS: &str = "etc/systemd/system";
/// Where units are looked for, in systemd's order (systemd.unit(5), "Unit File Load Path").
const UNIT_FOLDERS: [&str; 2] = [LINKS, "usr/lib/systemd/system"];
const PRESET_FOLDERS: [&str; 2] = ["etc/systemd/system-preset", "usr/lib/systemd/system-preset"];
const UNIT_KINDS: [&str; 7] =
    [".service", ".socket", ".target", ".timer", ".path", ".mount", ".automount"];

/// What starts by itself, beyond and against the packages' presets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enablement {
    /// Units to enable; each must exist and have an `[Install]` section.
    pub enable: Vec<String>,
    /// Units or patterns to leave disabled although a preset enables them.
    pub disable: Vec<String>,
    /// Units that nothing may start. They need not exist.
    pub mask: Vec<String>,
}

impl Enablement {
    /// What every appliance wants, whatever it serves.
    pub fn base() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            enable: owned(&["dbus-broker.service"]),
            disable: owned(&DISABLED),
            mask: owned(&MASKED),
        }
    }
}

/// What presets enable and a mail appliance has no use for.
const DISABLED: [&str; 9] = [
    "remote-*.target",             // nothing is mounted over the network
    "machines.target",             // no containers
    "systemd-boot-update.service", // the boot chain belongs to the update
    "systemd-confext.*",           // /usr and /etc are what was verified, nothing is laid over them
    "systemd-sysext.*",
    "systemd-homed*",                // no home directories
    "systemd-journald-audit.socket", // no audit daemon's records in the journal
    "systemd-mountfsd.socket",       // no images are mounted
    "systemd-nsresourced.socket",
];

/// What would write to the read-only `/usr` or `/etc`, or ask at a console.
const MASKED: [&str; 9] = [
    "e2scrub_all.timer", // wants LVM
    "e2scrub_reap.service",
    "ldconfig.service", // the cache is not needed: one library folder
    "systemd-boot-random-seed.service", // the ESP stays as written
    "systemd-firstboot.service", // asks questions
    "systemd-hwdb-update.service", // no hwdb is shipped
    "systemd-journal-catalog-update.service", // the catalog is pruned
    "systemd-machine-id-commit.service", // /etc is read-only
    "systemd-sysusers.service", // accounts are in the image
];

/// Makes the links.
pub(crate) fn write(draft: &mut Draft<'_>, wanted: &Enablement) -> Result<(), FixupError> {
    write_presets(draft, wanted)?;
    let units = read_units(draft)?;
    let presets = read_presets(draft)?;
    let by_preset = |(name, unit): &(&String, &Unit)| {
        // A template without a default instance is enabled by those who name an instance.
        let usable = template_of(name).is_none() || unit.install.default_instance.is_some();
        unit.file && usable && presets.enables(name)
    };
    let mut queue: Vec<String> =
        units.iter().filter(by_preset).map(|(name, _)| name.clone()).collect();
    for name in &wanted.enable {
        check_wanted(&units, name)?;
        queue.push(name.clone());
    }
    let mut done = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if done.insert(name.clone()) {
            queue.extend(enable(draft, &units, &name)?);
        }
    }
    draft.link(&format!("{LINKS}/default.target"), "/usr/lib/systemd/system/multi-user.target")?;
    for name in &wanted.mask {
        draft.link(&format!("{LINKS}/{name}"), "/dev/null")?;
    }
    Ok(())
}

/// A unit of the tree.
struct Unit {
    /// Whether it is a file of its own, not a link to another.
    file: bool,
    /// Absolute path of the file.
    path: String,
    install: Install,
}

fn read_units(draft: &Draft<'_>) -> Result<BTreeMap<String, Unit>, FixupError> {
    let mut units = BTreeMap::new();
    for kind in UNIT_KINDS {
        for path in draft.drop_ins(&UNIT_FOLDERS, kind)? {
            let file =
                draft.tree.get(&path).is_some_and(|entry| matches!(entry.kind, Kind::File(_)));
            let mut install = Install::default();
            // What lies outside UTF-8 in a unit can only be a comment or a description.
            let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            if let Some(text) = draft.read(&path)?.filter(|_| file).map(lossy) {
                install.add(&text);
                for drop_in in draft.drop_ins(&drop_in_folders(path.name()), ".conf")? {
                    install.add(&draft.text(&drop_in)?.unwrap_or_default());
                }
            }
            units.insert(path.name().to_owned(), Unit { file, path: path.to_string(), install });
        }
    }
    Ok(units)
}

fn drop_in_folders(unit: &str) -> [String; 2] {
    UNIT_FOLDERS.map(|folder| format!("{folder}/{unit}.d"))
}

fn read_presets(draft: &Draft<'_>) -> Result<Presets, FixupError> {
    let mut presets = Presets::default();
    for path in draft.drop_ins(&PRESET_FOLDERS, ".preset")? {
        let text = draft.text(&path)?.unwrap_or_default();
        presets.add(&text).map_err(|(line, why)| FixupError::Malformed {
            path: path.to_string(),
            line,
            why,
        })?;
    }
    Ok(presets)
}

/// Two preset files of ours: what the caller says before all others, and `disable *` after all.
fn write_presets(draft: &mut Draft<'_>, wanted: &Enablement) -> Result<(), FixupError> {
    let mut first = "# Written by mailkiln.\n".to_owned();
    for (directive, names) in [("enable", &wanted.enable), ("disable", &wanted.disable)] {
        for name in names {
            first.push_str(&format!("{directive} {}\n", preset_name(name)));
        }
    }
    draft.write("usr/lib/systemd/system-preset/00-mailkiln.preset", first.into_bytes(), 0o644)?;
    let last = *b"# Written by mailkiln: what was not asked for stays off.\ndisable *\n";
    draft.write("usr/lib/systemd/system-preset/99-mailkiln.preset", last, 0o644)
}

/// Presets name the template, then the instance: `getty@.service tty1` (systemd.preset(5)).
fn preset_name(unit: &str) -> String {
    match template_of(unit) {
        Some((template, instance)) => format!("{template} {instance}").trim_end().to_owned(),
        None => unit.to_owned(),
    }
}

/// Splits `name@instance.kind` into `name@.kind` and the instance.
fn template_of(unit: &str) -> Option<(String, &str)> {
    let (stem, kind) = unit.rsplit_once('.')?;
    let (name, instance) = stem.split_once('@')?;
    Some((format!("{name}@.{kind}"), instance))
}

fn check_wanted(units: &BTreeMap<String, Unit>, name: &str) -> Result<(), FixupError> {
    let why = match find(units, name) {
        None => "no source brings it: is its package in the lock?",
        Some(unit) if unit.install.is_empty() => "it has no [Install] section",
        Some(_) => return Ok(()),
    };
    Err(FixupError::Unit { unit: name.to_owned(), why: why.to_owned() })
}

fn find<'a>(units: &'a BTreeMap<String, Unit>, name: &str) -> Option<&'a Unit> {
    units.get(name).or_else(|| units.get(&template_of(name)?.0))
}

/// Makes the links of one unit; returns the units that `Also=` names and that exist.
fn enable(
    draft: &mut Draft<'_>,
    units: &BTreeMap<String, Unit>,
    name: &str,
) -> Result<Vec<String>, FixupError> {
    let Some(unit) = find(units, name) else { return Ok(Vec::new()) };
    let instance = template_of(name).map(|(_, instance)| instance.to_owned());
    // A template without an instance is enabled as its default instance, or not at all.
    let instance = match instance {
        Some(empty) if empty.is_empty() => unit.install.default_instance.clone(),
        other => other,
    };
    let is_template = template_of(name).is_some();
    let enabled_name = match (&instance, is_template) {
        (Some(instance), true) => name_with_instance(name, instance),
        _ => name.to_owned(),
    };
    for alias in &unit.install.alias {
        link(draft, &expand(alias, &enabled_name), &unit.path)?;
    }
    for (list, folder) in [
        (&unit.install.wanted_by, "wants"),
        (&unit.install.required_by, "requires"),
        (&unit.install.upheld_by, "upholds"),
    ] {
        for parent in list {
            // systemctl links the bare template only below another template.
            if is_template && instance.is_none() && !parent.contains('@') {
                let why = "it is a template without DefaultInstance=; name an instance".to_owned();
                return Err(FixupError::Unit { unit: name.to_owned(), why });
            }
            let parent = expand(parent, &enabled_name);
            link(draft, &format!("{parent}.{folder}/{enabled_name}"), &unit.path)?;
        }
    }
    Ok(unit.install.also.iter().map(|also| expand(also, &enabled_name)).collect())
}

fn link(draft: &mut Draft<'_>, name: &str, unit: &str) -> Result<(), FixupError> {
    let path = TreePath::parse(LINKS)?.join(name)?;
    // A unit whose file is in /etc itself needs no alias of its own name.
    if path.to_string() == unit { Ok(()) } else { draft.link(path.as_str(), unit) }
}

fn name_with_instance(name: &str, instance: &str) -> String {
    match name.split_once('@') {
        Some((stem, rest)) => {
            let kind = rest.rsplit_once('.').map_or(rest, |(_, kind)| kind);
            format!("{stem}@{instance}.{kind}")
        }
        None => name.to_owned(),
    }
}

/// The specifiers that make sense in `[Install]`: `%n`, `%N`, `%p`, `%i`, `%%` (systemd.unit(5)).
fn expand(text: &str, unit: &str) -> String {
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let mut expanded = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => expanded.push_str(unit),
            Some('N') => expanded.push_str(stem),
            Some('p') => expanded.push_str(prefix),
            Some('i') => expanded.push_str(instance),
            Some('%') => expanded.push('%'),
            other => {
                expanded.push('%');
                expanded.extend(other);
            }
        }
    }
    expanded
}

#[cfg(test)]
mod tests;
