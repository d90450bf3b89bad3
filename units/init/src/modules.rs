//! Kernel modules: which files to load, in which order, for a modalias or a name.
//!
//! In: the text of `modules.dep`, `modules.alias` and `modules.softdep` (depmod.d, modules.dep(5)).
//! Out: paths below `/lib/modules/VERSION`. Pure; `devices` does the loading.

use std::collections::{BTreeMap, BTreeSet};

/// The indexes of one kernel version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    modules: BTreeMap<String, Module>,
    aliases: Vec<Alias>,
    soft: BTreeMap<String, SoftDependencies>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Module {
    path: String,
    /// Names, nearest dependency first; loaded from the last to the first.
    depends: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alias {
    pattern: String,
    module: String,
}

/// Names or aliases that should (but need not) be loaded around a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SoftDependencies {
    before: Vec<String>,
    after: Vec<String>,
}

impl ModuleIndex {
    /// Reads the three indexes. Lines that make no sense are skipped, as modprobe does.
    pub fn parse(dep: &str, alias: &str, softdep: &str) -> Self {
        Self {
            modules: dep.lines().filter_map(parse_dep).collect(),
            aliases: alias.lines().filter_map(parse_alias).collect(),
            soft: softdep.lines().filter_map(parse_softdep).collect(),
        }
    }

    /// Paths of the modules that serve `name` (a module's name, an alias such as `crc32c`, or a
    /// device's modalias), each after what it depends on. Empty when no module does, which is
    /// usual: the driver may be built in, or there is none.
    pub fn plan(&self, name: &str) -> Vec<&str> {
        let mut plan = Plan { index: self, visited: BTreeSet::new(), paths: Vec::new() };
        plan.want(name);
        plan.paths
    }

    /// Names of the modules an alias or a name leads to.
    fn resolve(&self, name: &str) -> Vec<&str> {
        let name = normalize(name);
        if let Some((module, _)) = self.modules.get_key_value(&name) {
            return vec![module];
        }
        let matching = self.aliases.iter().filter(|alias| matches(&alias.pattern, &name));
        matching.map(|alias| alias.module.as_str()).collect()
    }
}

/// One walk over the graph. A name is entered once, so cycles end.
struct Plan<'a> {
    index: &'a ModuleIndex,
    visited: BTreeSet<&'a str>,
    paths: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn want(&mut self, name: &str) {
        let index = self.index;
        for module in index.resolve(name) {
            self.module(module);
        }
    }

    fn module(&mut self, name: &'a str) {
        let index = self.index;
        let Some(module) = index.modules.get(name) else { return };
        if !self.visited.insert(name) {
            return;
        }
        let soft = index.soft.get(name);
        for name in soft.iter().flat_map(|soft| &soft.before) {
            self.want(name);
        }
        for name in module.depends.iter().rev() {
            self.module(name);
        }
        self.paths.push(&module.path);
        for name in soft.iter().flat_map(|soft| &soft.after) {
            self.want(name);
        }
    }
}

/// `kernel/fs/squashfs/squashfs.ko: kernel/lib/a.ko kernel/lib/b.ko`
fn parse_dep(line: &str) -> Option<(String, Module)> {
    let (path, depends) = line.split_once(':')?;
    let depends = depends.split_ascii_whitespace().filter_map(module_name).collect();
    Some((module_name(path)?, Module { path: path.to_owned(), depends }))
}

/// `alias virtio:d00000002v* virtio_blk`; the pattern itself holds no blank.
fn parse_alias(line: &str) -> Option<Alias> {
    let (pattern, module) = line.strip_prefix("alias ")?.trim().rsplit_once(' ')?;
    Some(Alias { pattern: normalize(pattern), module: normalize(module) })
}

/// `softdep NAME pre: A B post: C`
fn parse_softdep(line: &str) -> Option<(String, SoftDependencies)> {
    let mut words = line.strip_prefix("softdep ")?.split_ascii_whitespace();
    let name = normalize(words.next()?);
    let mut soft = SoftDependencies::default();
    let mut list = None;
    for word in words {
        match word {
            "pre:" => list = Some(&mut soft.before),
            "post:" => list = Some(&mut soft.after),
            name => list.as_mut()?.push(normalize(name)),
        }
    }
    Some((name, soft))
}

/// `kernel/drivers/virtio-blk.ko.xz` is the module `virtio_blk`.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (name, _) = file.split_once(".ko")?;
    Some(normalize(name))
}

/// `-` and `_` are the same in names, but not inside `[…]`, where `-` means a range.
fn normalize(name: &str) -> String {
    let mut in_class = false;
    name.chars()
        .map(|c| {
            match c {
                '[' => in_class = true,
                ']' => in_class = false,
                _ => {}
            }
            if c == '-' && !in_class { '_' } else { c }
        })
        .collect()
}

/// fnmatch(3) without flags, as depmod's patterns need it: `*`, `?`, `[a-z]`.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when what follows the last `*` does not match: one more byte eaten.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (pattern, text) {
            ([b'*', after @ ..], _) => {
                retry = Some((after, text));
                pattern = after;
                continue;
            }
            ([], []) => return true,
            (_, []) => return false,
            ([b'[', class @ ..], [byte, rest @ ..]) => {
                class_matches(class, *byte).map(|after| (after, rest))
            }
            ([first, after @ ..], [byte, rest @ ..]) if *first == b'?' || first == byte => {
                Some((after, rest))
            }
            _ => None,
        };
        match (step, retry) {
            (Some((after, rest)), _) => (pattern, text) = (after, rest),
            (None, Some((after, [_, rest @ ..]))) => {
                retry = Some((after, rest));
                (pattern, text) = (after, rest);
            }
            (None, _) => return false,
        }
    }
}

/// Matches one byte against a class whose `[` is already gone; returns the pattern after `]`.
fn class_matches(class: &[u8], byte: u8) -> Option<&[u8]> {
    let end = class.iter().position(|c| *c == b']')?;
    let (mut set, after) = (&class[..end], &class[end + 1..]);
    while let [first, rest @ ..] = set {
        let (range, rest) = match rest {
            [b'-', last, rest @ ..] => (*first..=*last, rest),
            _ => (*first..=*first, rest),
        };
        if range.contains(&byte) {
            return Some(after);
        }
        set = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEP: &str = "\
kernel/drivers/block/virtio_blk.ko:
kernel/drivers/md/dm-mod.ko:
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/libcrc32c.ko:
kernel/arch/crc32c-intel.ko:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
nonsense
";
    const ALIAS: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000002v* virtio_blk
alias pci:v00001AF4d*sv*sd*bc01sc[0-1]i?? dm_mod
alias of:N*T*Cbrcm,bcm2711-emmc2C* jbd2
alias crc32c crc32c_intel
alias crc32c crc32c_generic
";
    const SOFTDEP: &str = "\
softdep ext4 pre: crc32c post: virtio-blk nowhere
softdep libcrc32c stray
softdep a pre: a b
";

    #[test]
    fn plans() {
        let index = ModuleIndex::parse(DEP, ALIAS, SOFTDEP);
        let cases: [(&str, &[&str]); 9] = [
            ("virtio:d00000002v00001AF4", &["kernel/drivers/block/virtio_blk.ko"]),
            (
                "dm-verity",
                &[
                    "kernel/drivers/md/dm-mod.ko",
                    "kernel/drivers/md/dm-bufio.ko",
                    "kernel/drivers/md/dm-verity.ko.xz",
                ],
            ),
            (
                "ext4",
                &[
                    "kernel/arch/crc32c-intel.ko",
                    "kernel/fs/jbd2/jbd2.ko",
                    "kernel/fs/ext4/ext4.ko",
                    "kernel/drivers/block/virtio_blk.ko",
                ],
            ),
            ("pci:v00001AF4d1sv2sd3bc01sc1i7f", &["kernel/drivers/md/dm-mod.ko"]),
            ("pci:v00001AF4d1sv2sd3bc01sc2i7f", &[]),
            ("of:NmmcT(null)Cbrcm,bcm2711-emmc2C", &["kernel/fs/jbd2/jbd2.ko"]),
            ("libcrc32c", &["kernel/lib/libcrc32c.ko"]),
            ("a", &["kernel/b.ko", "kernel/a.ko"]),
            ("squashfs", &[]),
        ];
        for (name, expected) in cases {
            assert_eq!(index.plan(name), expected, "{name}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abcbc", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("x[0-9a]", "xa", true),
            ("x[0-9a]", "x9", true),
            ("x[0-9a]", "xb", false),
            ("x[0-", "x0", false),
            ("*[0-1]*z", "a0b1z", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn literal_text_matches_itself_and_stars(text in "[a-z:0-9]{0,30}") {
            let (inside, around) = (format!("*{text}*"), format!("x{text}y"));
            prop_assert!(matches(&text, &text));
            prop_assert!(matches(&inside, &around));
        }

        #[test]
        fn never_panics(dep in ".{0,200}", alias in "alias .{0,80}", soft in "softdep .{0,80}") {
            let _ = ModuleIndex::parse(&dep, &alias, &soft).plan("pci:v1");
        }

        // `*a*a*a…` against `aaaa…b` must not take exponential time.
        #[test]
        fn patterns_are_cheap(stars in 1usize..60) {
            let (pattern, text) = ("*a".repeat(stars), "a".repeat(500) + "b");
            prop_assert!(!matches(&pattern, &text));
        }
    }
}
