//! Which kernel modules an image keeps.
//!
//! In: patterns of a target file. Out: yes or no for a module's path, and the patterns that a kernel has no use for.

use std::str::FromStr;

use crate::problem::{Flaw, shown};

/// Modules by pattern. Whoever takes them also takes what they depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modules(Vec<ModulePattern>);

impl Modules {
    /// Whether the module is named by a pattern. `path` is below `kernel/`, with or without its
    /// ending: `drivers/virtio/virtio_mmio.ko.xz`.
    pub fn keeps(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(path))
    }

    /// The patterns that fit none of a kernel's modules and have to, whose `paths` are as in [`Self::keeps`].
    pub fn without_module<'a>(
        &self,
        paths: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<&ModulePattern> {
        let fits_none = |pattern: &&ModulePattern| {
            !pattern.optional && !paths.clone().any(|path| pattern.matches(path))
        };
        self.0.iter().filter(fits_none).collect()
    }

    /// The patterns, in the order of the file.
    pub fn patterns(&self) -> &[ModulePattern] {
        &self.0
    }

    /// Whether every module that `inner` may fit is kept.
    pub(super) fn covers(&self, inner: &ModulePattern) -> bool {
        // A star of `inner` is a byte like others here, which only a star can stand for.
        self.keeps(&inner.path)
    }
}

impl FromIterator<ModulePattern> for Modules {
    fn from_iter<I: IntoIterator<Item = ModulePattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

/// A path below `kernel/` without `.ko`, in which `*` stands for anything within one name. It means
/// the module of this path, or every module below the folder. With `?` before it, a kernel may lack it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePattern {
    path: String,
    optional: bool,
}

impl ModulePattern {
    /// The pattern, without the mark of one that a kernel may lack.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    fn matches(&self, path: &str) -> bool {
        let path = path.split_once(".ko").map_or(path, |(path, _)| path);
        let mut names = path.split('/');
        self.path.split('/').all(|pattern| names.next().is_some_and(|name| glob(pattern, name)))
    }
}

impl FromStr for ModulePattern {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name != "*"
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-*".contains(c))
        };
        let (optional, path) = match text.strip_prefix('?') {
            Some(path) => (true, path),
            None => (false, text),
        };
        if path.split('/').all(is_name) {
            return Ok(Self { path: path.to_owned(), optional });
        }
        Err(Flaw::new(
            format!("`{}` names no kernel module", shown(text)),
            "not a path below kernel/",
            "write a folder or a module without `.ko`, like `drivers/virtio` or `net/packet/af_*`",
        ))
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for anything. Goes through both once, and
/// back to the last star only, so that no pattern takes long.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
        } else if pattern.get(p) == name.get(n) {
            p += 1;
            n += 1;
        } else if let Some((after_star, from)) = retry {
            // The star takes one more byte.
            retry = Some((after_star, from + 1));
            (p, n) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_modules_and_folders() {
        for (pattern, path, matches) in [
            ("drivers/virtio", "drivers/virtio/virtio_mmio", true),
            ("drivers/virtio", "drivers/virtio", true),
            ("drivers/virtio", "drivers/virtio_other/x", false),
            ("drivers/net/ethernet", "drivers/net/ethernet/amazon/ena/ena", true),
            ("net/netfilter/nf_*", "net/netfilter/nf_tables", true),
            ("net/netfilter/nf_*", "net/netfilter/nft_ct", false),
            ("net/netfilter/nf_*", "net/netfilter", false),
            ("fs/*fs/*", "fs/squashfs/squashfs", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyycd", false),
            ("*a*a*a*a*a*a*a*b", &"a".repeat(5000), false),
        ] {
            let modules = Modules(pattern.parse().into_iter().collect());
            assert_eq!(modules.keeps(path), matches && !modules.0.is_empty(), "{pattern} {path}");
            assert_eq!(modules.keeps(&format!("{path}.ko.xz")), modules.keeps(path));
        }
    }

    #[test]
    fn a_pattern_covers_another_only_if_nothing_escapes() {
        for (outer, inner, covers) in [
            ("drivers/virtio", "drivers/virtio", true),
            ("drivers/virtio", "drivers/virtio/virtio_mmio", true),
            ("drivers/virtio/virtio_mmio", "drivers/virtio", false),
            ("drivers/scsi/scsi_*", "drivers/scsi/scsi_mod", true),
            ("drivers/scsi/scsi_*", "drivers/scsi/scsi_*", true),
            ("drivers/scsi/s*", "drivers/scsi/scsi_*", true),
            ("drivers/scsi/scsi_*", "drivers/scsi/s*", false),
            ("drivers/scsi/scsi_mod", "drivers/scsi/scsi_*", false),
        ] {
            let modules: Modules = outer.parse().into_iter().collect();
            assert_eq!(modules.covers(&inner.parse().unwrap()), covers, "{outer} {inner}");
        }
    }

    #[test]
    fn patterns_without_a_module_are_named() {
        let modules: Modules =
            ["fs/ext4", "fs/ext3", "net/n*"].iter().flat_map(|text| text.parse()).collect();
        let paths = ["fs/ext4/ext4.ko", "fs/fat/vfat.ko.xz", "net/netfilter/nf_tables.ko.xz"];
        let unused = modules.without_module(paths.into_iter());
        assert_eq!(unused.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["fs/ext3"]);
        let lenient: Modules = ["fs/ext4", "?fs/ext3"].iter().flat_map(|it| it.parse()).collect();
        assert!(lenient.without_module(paths.into_iter()).is_empty());
        assert!(lenient.keeps("fs/ext3/ext3.ko"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for pattern in [
            "",
            "?",
            "??fs",
            "fs/?ext4",
            "/fs",
            "fs/",
            "fs/*",
            "*",
            "../fs",
            "fs/squashfs.ko",
            "fs//fat",
            "f s",
        ] {
            assert!(pattern.parse::<ModulePattern>().is_err(), "{pattern}");
        }
    }
}
