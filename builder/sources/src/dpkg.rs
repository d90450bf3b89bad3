//! The package database, for scanners and for people.
//!
//! In: layers. Out: `/var/lib/dpkg/status` and the `info` files as dpkg keeps them (dpkg(1),
//! deb-control(5)). Conffiles are listed in `info`; their MD5 sums in `status` would only serve
//! upgrades, and there are none.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_tree::TreePath;

use crate::layer::{Layer, Package};

/// Where the records are.
const INFO: &str = "var/lib/dpkg/info";

/// The files in `info` for one package: its list of paths, its sums, its conffiles; of what was
/// pruned there is no record.
pub(crate) fn records<'a>(
    package: &Package,
    control_files: &BTreeMap<String, Vec<u8>>,
    paths: impl Iterator<Item = &'a TreePath>,
) -> Vec<(String, Vec<u8>)> {
    let paths: BTreeSet<&str> = paths.map(TreePath::as_str).collect();
    // dpkg tells the architectures of a package apart only where several may be installed.
    let same = package.control.lines().any(|line| line.trim_end() == "Multi-Arch: same");
    let stem = match same {
        true => format!("{INFO}/{}:{}", package.name, package.architecture),
        false => format!("{INFO}/{}", package.name),
    };
    let list = paths.iter().map(|path| format!("/{path}\n"));
    let list = std::iter::once("/.\n".to_owned()).chain(list).collect::<String>();
    let lines = |name: &str, path_in: &dyn Fn(&str) -> Option<String>| -> String {
        let text = control_files.get(name).map(|bytes| String::from_utf8_lossy(bytes));
        let kept = |line: &&str| path_in(line).is_some_and(|path| paths.contains(path.as_str()));
        text.iter()
            .flat_map(|text| text.lines())
            .filter(kept)
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let sums = lines("md5sums", &|line| Some(line.split_once("  ")?.1.to_owned()));
    let conffiles = lines("conffiles", &|line| Some(line.trim().strip_prefix('/')?.to_owned()));
    [("list", list), ("md5sums", sums), ("conffiles", conffiles)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(kind, text)| (format!("{stem}.{kind}"), text.into_bytes()))
        .collect()
}

/// `/var/lib/dpkg/status`: every package's control paragraph, marked as installed.
pub(crate) fn status<'a>(layers: impl Iterator<Item = &'a Layer>) -> String {
    let records: BTreeMap<_, _> = layers
        .map(|Layer { package, .. }| {
            let (first, rest) = package.control.split_once('\n').unwrap_or((&package.control, ""));
            let record = format!("{first}\nStatus: install ok installed\n{rest}");
            ((&package.name, &package.architecture), record)
        })
        .collect();
    records.into_values().map(|record| format!("{record}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_pin::Sha256;

    fn package(control: &str) -> Package {
        Package {
            name: "libx".parse().unwrap(),
            version: "1".parse().unwrap(),
            architecture: "amd64".into(),
            source: None,
            sha256: Sha256::of(b""),
            control: control.into(),
            licences: Vec::new(),
        }
    }

    #[test]
    fn records_name_what_was_kept_only() {
        let paths: Vec<TreePath> =
            ["etc/x", "usr", "usr/a b"].map(|path| TreePath::parse(path).unwrap()).into();
        let files = BTreeMap::from([
            ("md5sums".to_owned(), b"0a  usr/a b\n0b  usr/share/man/x\n".to_vec()),
            ("conffiles".to_owned(), b"/etc/x\n/etc/gone\n".to_vec()),
        ]);
        let package = package("Package: libx\nMulti-Arch: same\n");
        let text = |(path, bytes): (String, Vec<u8>)| (path, String::from_utf8(bytes).unwrap());
        let records: Vec<_> =
            records(&package, &files, paths.iter()).into_iter().map(text).collect();
        assert_eq!(
            records,
            [
                ("var/lib/dpkg/info/libx:amd64.list", "/.\n/etc/x\n/usr\n/usr/a b\n"),
                ("var/lib/dpkg/info/libx:amd64.md5sums", "0a  usr/a b\n"),
                ("var/lib/dpkg/info/libx:amd64.conffiles", "/etc/x\n"),
            ]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn status_has_a_record_for_each_package() {
        let layer = Layer {
            package: package("Package: libx\nVersion: 1\n"),
            entries: Vec::new(),
            modules: BTreeMap::new(),
        };
        assert_eq!(
            status([&layer].into_iter()),
            "Package: libx\nStatus: install ok installed\nVersion: 1\n\n"
        );
    }
}
