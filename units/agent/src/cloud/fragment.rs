//! A fragment becomes configuration on the device: the builder's own crates render it.
//!
//! In: what the image carries below `/usr/share/mailkiln` (its `mail.toml`, what it was made for, the spam
//! rules) and a fragment. Out: `/run/mailkiln/etc`, which is bound over `/etc/mailkiln`, units below
//! `/run/systemd`, the host's name. The root is read-only and verified; all of this is gone with the power.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mailkiln_services::{TargetFacts, appliance};
use mailkiln_spec::{FragmentRule, Spec, SpecErrors, parse, parse_with_fragment};
use mailkiln_tree::{Content, Kind};

/// What a fragment may set.
const KEYS: &str = include_str!("fragment_keys.txt");

/// Why a fragment was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum FragmentError {
    /// The image was made before fragments, or for a board.
    #[error("this image takes no fragments: it lacks {0}; build it with this version of mailkiln")]
    Image(PathBuf),
    /// It says that it takes none.
    #[error("this image takes no fragments: its mail.toml says `fragment = \"refused\"`")]
    Refused,
    /// It does not fit the image.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
    /// A key is allowed whose effects are not bound over.
    #[error("a fragment would change /{0}, which only an image can; this is a defect")]
    Beyond(String),
    /// A file.
    #[error("cannot write {0}: {1}; the fragment is not used")]
    Write(PathBuf, #[source] io::Error),
}

/// What an image carries for fragments.
#[derive(Debug)]
pub struct Image {
    mail_toml: String,
    facts: TargetFacts,
    spam_rules: String,
}

/// Keys that a fragment may set.
pub fn keys() -> Vec<&'static str> {
    KEYS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

impl Image {
    /// Reads it below `root`.
    ///
    /// # Errors
    /// [`FragmentError::Image`].
    pub fn read(root: &Path) -> Result<Self, FragmentError> {
        let folder = root.join("usr/share/mailkiln");
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|_| FragmentError::Image(path))
        };
        let facts = TargetFacts::from_json(&read("target.json")?)
            .map_err(|_| FragmentError::Image(folder.join("target.json")))?;
        Ok(Self { mail_toml: read("mail.toml")?, facts, spam_rules: read("spam-rules.toml")? })
    }

    /// What the image is without a fragment.
    ///
    /// # Errors
    /// [`FragmentError::Image`] when it is of another version.
    pub fn own(&self) -> Result<Spec, FragmentError> {
        parse(&self.mail_toml)
            .map_err(|_| FragmentError::Image("usr/share/mailkiln/mail.toml".into()))
    }

    /// What it is with one.
    ///
    /// # Errors
    /// [`FragmentError::Wrong`] with lines for people.
    pub fn with(&self, fragment: &str) -> Result<Spec, FragmentError> {
        if self.own()?.fragment == FragmentRule::Refused {
            return Err(FragmentError::Refused);
        }
        parse_with_fragment(&self.mail_toml, fragment, &keys())
            .map_err(|errors| FragmentError::Wrong(drawn(fragment, &errors)))
    }

    /// Files of `spec` that the root below `root` does not have so, by their path without a slash.
    fn changes(
        &self,
        spec: &Spec,
        root: &Path,
    ) -> Result<BTreeMap<String, Vec<u8>>, FragmentError> {
        let entries = appliance(spec, &self.facts, &self.spam_rules)
            .tree_entries()
            .map_err(|error| FragmentError::Wrong(vec![error.to_string()]))?;
        let mut changes = BTreeMap::new();
        for (path, entry) in entries {
            let path = path.to_string();
            let path = path.trim_start_matches('/').to_owned();
            let on_disk = root.join(&path);
            match entry.kind {
                Kind::File(Content::Inline(bytes))
                    if fs::read(&on_disk).ok().as_deref() != Some(&bytes) =>
                {
                    changes.insert(path, bytes.to_vec());
                }
                Kind::Symlink(target)
                    if fs::read_link(&on_disk).ok() != Some(PathBuf::from(&target)) =>
                {
                    return Err(FragmentError::Beyond(path));
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    /// Writes what `spec` changes below `root`. Returns false when it changes nothing.
    ///
    /// # Errors
    /// [`FragmentError`]; systemd has not been told anything then.
    pub fn render(&self, spec: &Spec, root: &Path) -> Result<bool, FragmentError> {
        let changes = self.changes(spec, root)?;
        let (run, etc) = (root.join("run/mailkiln"), root.join("run/mailkiln/etc"));
        let mut files = Vec::new();
        for (path, bytes) in changes {
            let to = match path.split_once('/') {
                _ if path == "etc/hosts" => run.join("hosts"),
                _ if path == "etc/hostname" => run.join("hostname"),
                // What earlier versions kept for another host's name is none of this machine's.
                _ if path == "etc/tmpfiles.d/mailkiln.conf" => continue,
                Some((_, rest)) if path.starts_with("etc/mailkiln/") => {
                    run.join("etc").join(rest.trim_start_matches("mailkiln/"))
                }
                Some(_) => match path.strip_prefix("etc/systemd/system/") {
                    Some(unit) if root.join(&path).is_file() => {
                        root.join("run/systemd/system.control").join(unit)
                    }
                    _ => return Err(FragmentError::Beyond(path)),
                },
                None => return Err(FragmentError::Beyond(path)),
            };
            files.push((to, bytes));
        }
        if files.is_empty() {
            return Ok(false);
        }
        let only_units = files.iter().all(|(path, _)| !path.starts_with(&run));
        if only_units {
            files.iter().try_for_each(|(path, bytes)| write(path, bytes))?;
            return Ok(true);
        }
        // The bound folder hides the image's, so it has all of it.
        for (path, bytes) in below(&root.join("etc/mailkiln"))? {
            write(&etc.join(path), &bytes)?;
        }
        files.iter().try_for_each(|(path, bytes)| write(path, bytes))?;
        mounts(root).iter().try_for_each(|(path, bytes)| write(path, bytes))?;
        let name =
            format!("# Made by mailkiln from a fragment.\nkernel.hostname = {}\n", spec.host.name);
        write(&root.join("run/sysctl.d/90-mailkiln-host.conf"), name.as_bytes())?;
        Ok(true)
    }
}

/// The fragment with the name that the machine has with its cloud, where it says none itself and the cloud's is
/// one that others can look up: droplets and servers are called so by their owners.
pub fn named(fragment: &str, host: Option<&str>) -> String {
    let heads = |line: &str| line.trim_start().starts_with('[');
    let is_table = |line: &str| {
        line.trim_start()
            .strip_prefix('[')
            .is_some_and(|rest| rest.trim_start().starts_with("host"))
    };
    // `host` in front of the first table is the table too; further down it is a relay's.
    let is_key = |line: &str| line.trim_start().starts_with("host");
    let says = fragment.lines().any(is_table)
        || fragment.lines().take_while(|line| !heads(line)).any(is_key);
    let suffix = |host: &str| host.rsplit('.').next().unwrap_or_default().to_owned();
    let public = |host: &&str| host.contains('.') && !PRIVATE.contains(&suffix(host).as_str());
    match host.filter(public) {
        Some(host) if !says => {
            format!("{}\n[host]\nname = \"{host}\"\n", fragment.trim_end())
        }
        _ => fragment.to_owned(),
    }
}

/// Ends of names that mean something inside of a cloud alone.
const PRIVATE: [&str; 8] =
    ["compute", "internal", "invalid", "lan", "local", "localdomain", "novalocal", "test"];

/// What may be bound over `/etc`, below `/run/mailkiln`.
const BOUND: [(&str, &str); 3] =
    [("etc", "/etc/mailkiln"), ("hosts", "/etc/hosts"), ("hostname", "/etc/hostname")];

/// What a fragment made, and the path that it is bound over.
pub fn bound(root: &Path) -> impl Iterator<Item = (&'static str, &'static str)> {
    let run = root.join("run/mailkiln");
    BOUND.into_iter().filter(move |(from, _)| run.join(from).exists())
}

/// The unit that binds a path: systemd.mount(5).
pub fn mount_unit(path: &str) -> String {
    format!("{}.mount", path.trim_start_matches('/').replace('/', "-"))
}

fn mounts(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let unit = |(from, to): (&str, &str)| {
        let text = format!(
            "# Made by mailkiln from a fragment; gone with the next boot.\n[Unit]\nDescription=What a fragment made of {to}\n\
             DefaultDependencies=no\nConflicts=umount.target\nBefore=umount.target\n\n\
             [Mount]\nWhat=/run/mailkiln/{from}\nWhere={to}\nType=none\nOptions=bind,ro\n"
        );
        (root.join("run/systemd/system").join(mount_unit(to)), text.into_bytes())
    };
    bound(root).map(unit).collect()
}

/// Files below a folder: relative path and content.
fn below(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, FragmentError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FragmentError::Write(path, error)
    };
    let (mut files, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).map_err(failed(&directory))? {
            let path = entry.map_err(failed(&directory))?.path();
            if path.is_dir() {
                left.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                files.push((name.to_owned(), fs::read(&path).map_err(failed(&path))?));
            }
        }
    }
    Ok(files)
}

/// Readable for every service, as an image's: there is no secret in it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), FragmentError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error| FragmentError::Write(path.to_owned(), error);
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
    fs::write(path, bytes).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(failed)
}

/// Problems as lines: where, what, the marked text, the cure.
fn drawn(fragment: &str, errors: &SpecErrors) -> Vec<String> {
    let mut lines = Vec::new();
    for problem in errors.problems().iter().take(4) {
        let before = fragment.get(..problem.span.start).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = fragment[start..].lines().next().unwrap_or_default();
        let column = before[start..].chars().count();
        let length = fragment.get(problem.span.clone()).unwrap_or_default();
        let length = length.lines().next().unwrap_or_default().chars().count().clamp(1, 60);
        lines.push(format!("fragment, line {number}: {}", problem.message));
        if !text.trim().is_empty() {
            lines.push(format!("  {}", text.chars().take(100).collect::<String>()));
            lines.push(format!(
                "  {}{} {}",
                " ".repeat(column.min(100)),
                "^".repeat(length),
                problem.label
            ));
        }
        lines.push(format!("  help: {}", problem.help));
    }
    let more = errors.problems().len().saturating_sub(4) + errors.omitted();
    if more > 0 {
        lines.push(format!("and {more} more mistakes"));
    }
    lines
}

#[cfg(test)]
pub(crate) mod tests;
