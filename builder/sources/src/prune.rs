//! What of the packages a mail appliance never needs.
//!
//! In: a member's path. Out: keep or drop. The rules are data with a reason each; the first that
//! matches decides, what none names is kept. A rule for a directory covers all below it. Of a
//! kernel's modules those stay that the target's file and the services name.

use mailkiln_pin::Sha256;
use mailkiln_tree::TreePath;

mod appliance;
mod modules;

pub use modules::{KernelChoice, NoSuchModule};

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes into the image.
    Keep,
    /// It does not.
    Drop,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What to do with what matches.
    pub verdict: Verdict,
    /// A path below the root; `*` stands for anything but `/`, `**` for any number of components.
    pub pattern: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Rules in order, and a choice of kernel modules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    modules: Option<KernelChoice>,
}

impl Policy {
    /// The rules for an appliance.
    pub fn appliance() -> Self {
        Self::of(appliance::RULES.iter().copied())
    }

    /// What takes device trees and the lists of its build out of a kernel's packages: the same for
    /// every board, so that all share what is unpacked.
    pub fn kernel_data() -> Self {
        Self::of(appliance::KERNEL_DATA.iter().copied())
    }

    /// Rules of the caller's.
    pub fn of(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), modules: None }
    }

    /// The same rules, and of a kernel's modules only these and what they need.
    #[must_use]
    pub fn with_modules(self, modules: KernelChoice) -> Self {
        Self { modules: Some(modules), ..self }
    }

    /// The rules, first one first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The choice of modules, if there is one.
    pub fn modules(&self) -> Option<&KernelChoice> {
        self.modules.as_ref()
    }

    /// What happens to `path`.
    pub fn verdict(&self, path: &TreePath) -> Verdict {
        let components: Vec<&str> = path.components().collect();
        let rule = self.rules.iter().find(|rule| covers(rule.pattern, &components));
        match (rule, &self.modules) {
            (Some(rule), _) => rule.verdict,
            (None, Some(modules)) if !modules.keep(path) => Verdict::Drop,
            (None, _) => Verdict::Keep,
        }
    }

    /// What tells this policy from another: part of the key under which layers are cached.
    pub fn digest(&self) -> Sha256 {
        let rules = self.rules.iter().map(|rule| format!("{:?} {}\n", rule.verdict, rule.pattern));
        let modules = self.modules.iter().flat_map(KernelChoice::lines);
        Sha256::of(rules.chain(modules).collect::<String>().as_bytes())
    }
}

/// Whether `pattern` matches the path or a directory above it.
fn covers(pattern: &str, path: &[&str]) -> bool {
    let Some((first, rest)) = split(pattern) else { return true };
    if first == "**" {
        return (0..=path.len()).any(|skipped| {
            // `a/**` is what is below a, not a itself.
            let below = rest.is_some() || skipped > 0;
            below && covers(rest.unwrap_or_default(), &path[skipped..])
        });
    }
    match path.split_first() {
        Some((component, below)) => {
            fits(first.as_bytes(), component.as_bytes()) && covers(rest.unwrap_or_default(), below)
        }
        None => false,
    }
}

fn split(pattern: &str) -> Option<(&str, Option<&str>)> {
    if pattern.is_empty() {
        return None;
    }
    Some(pattern.split_once('/').map_or((pattern, None), |(first, rest)| (first, Some(rest))))
}

/// Whether a component fits a pattern in which `*` stands for any bytes.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        (Some((expected, pattern)), Some((byte, name))) => expected == byte && fits(pattern, name),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rule(verdict: Verdict, pattern: &'static str) -> Rule {
        Rule { verdict, pattern, reason: "test" }
    }

    #[test]
    fn the_first_matching_rule_decides_for_all_below() {
        let policy = Policy::of([
            rule(Verdict::Keep, "usr/share/doc/*/copyright"),
            rule(Verdict::Drop, "usr/share/doc"),
            rule(Verdict::Drop, "usr/lib/modules/*/kernel/**/*-gpu.ko*"),
            rule(Verdict::Drop, "opt/**"),
        ]);
        for (path, verdict) in [
            ("usr/share/doc/x/copyright", Verdict::Keep),
            ("usr/share/doc/x/copyright/below", Verdict::Keep),
            ("usr/share/doc/x/changelog", Verdict::Drop),
            ("usr/share/doc", Verdict::Drop),
            ("usr/share/docs", Verdict::Keep),
            ("usr/share", Verdict::Keep),
            ("usr/lib/modules/6/kernel/a/b/x-gpu.ko.xz", Verdict::Drop),
            ("usr/lib/modules/6/kernel/x-gpu.ko", Verdict::Drop),
            ("usr/lib/modules/6/kernel/x-gpus.ko", Verdict::Keep),
            ("opt", Verdict::Keep),
            ("opt/x", Verdict::Drop),
        ] {
            assert_eq!(policy.verdict(&TreePath::parse(path).unwrap()), verdict, "{path}");
        }
    }

    #[test]
    fn every_rule_has_a_reason() {
        let policies = [Policy::appliance(), Policy::kernel_data()];
        for rule in policies.iter().flat_map(Policy::rules) {
            assert!(!rule.reason.is_empty(), "{}", rule.pattern);
            assert!(!rule.pattern.starts_with('/') && !rule.pattern.ends_with('/'));
        }
    }
}
