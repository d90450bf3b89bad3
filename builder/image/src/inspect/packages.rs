//! Packages that an image says it holds: `dpkg`'s status file.
//!
//! In: its text (deb-control(5) paragraphs). Out: names, versions and architectures.

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
}

/// The installed packages, by name. Paragraphs without a name or version are left out: the
/// text is foreign, and what can be shown is better than nothing.
pub(crate) fn parse(status: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    let mut lines = status.lines().peekable();
    while lines.peek().is_some() {
        let (mut name, mut version, mut architecture) = (None, None, None);
        let mut installed = true;
        for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match field {
                "Package" => name = Some(value.to_owned()),
                "Version" => version = Some(value.to_owned()),
                "Architecture" => architecture = Some(value.to_owned()),
                "Status" => installed = value.ends_with(" installed"),
                _ => {}
            }
        }
        if let (Some(name), Some(version), true) = (name, version, installed) {
            let architecture = architecture.unwrap_or_default();
            packages.push(Package { name, version, architecture });
        }
    }
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed() {
        let status = "\n\nPackage: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
                      Version: 1:1.3\nDescription: x\n Package: not a field\n\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Version: 2\n\nPackage: acl\nVersion: 2\n";
        let shown: Vec<_> = parse(status)
            .iter()
            .map(|package| format!("{} {} {}", package.name, package.version, package.architecture))
            .collect();
        assert_eq!(shown, ["acl 2 ", "zlib1g 1:1.3 amd64"]);
        assert_eq!(parse(""), []);
    }
}
