//! The kernel of a target: its package, its command line, its modules.

use std::ops::Range;

use super::super::file::KernelTable;
use super::super::{Classes, Kernel, ModulePattern, Modules};
use super::package;
use crate::file::Text;
use crate::problem::{Flaw, Problems, Reported, nearest, shown};
use crate::rules::{each, parsed};

/// The lock's set of kernels, where a target names no other.
const SET: &str = "kernel";
/// Words of the kernel's command line that others write.
const RESERVED: [&str; 4] = ["console", "init", "root", "roothash"];

pub(super) fn judge(
    table: KernelTable,
    classes: &Classes,
    problems: &mut Problems,
) -> Result<Kernel, Reported> {
    let name = match &table.package {
        Some(text) => problems.check(&text.span, package(&text.value)),
        None => Err(problems.absent(&(0..0), "kernel.package")),
    };
    let set = match &table.set {
        Some(text) => problems.check(&text.span, package(&text.value)),
        None => Ok(SET.to_owned()),
    };
    let arguments = each(table.arguments, |text| problems.check(&text.span, argument(&text.value)));
    let mut lists = Lists::default();
    let named = each(table.classes, |text| lists.class(&text, classes, problems));
    let modules = each(table.modules, |text| lists.module(&text, problems));
    let initrd = each(table.initrd, |text| lists.initrd(&text, problems));
    for list in [named, modules, initrd] {
        list?;
    }
    if lists.modules.is_empty() || lists.initrd.is_empty() {
        let message = "no module is named for the root, or none for the initrd";
        let cure = "write `classes`, or `modules` and `initrd`";
        return Err(problems.add(Flaw::new(message, "needed here", cure).at(&(0..0))));
    }
    let all = |patterns: Vec<ModulePattern>| patterns.into_iter().collect::<Modules>();
    let (modules, initrd) = (all(lists.modules), all(lists.initrd));
    Ok(Kernel { package: name?, set: set?, arguments: arguments?, modules, initrd })
}

/// Patterns of modules, each once: those of classes, then those of the target itself.
#[derive(Default)]
struct Lists {
    modules: Vec<ModulePattern>,
    initrd: Vec<ModulePattern>,
}

impl Lists {
    /// Takes in a class. Two classes may name the same module.
    fn class(
        &mut self,
        text: &Text,
        classes: &Classes,
        problems: &mut Problems,
    ) -> Result<(), Reported> {
        let Some(class) = classes.get(&text.value) else {
            let cure = match nearest(&text.value, classes.names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", classes.names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("there is no class `{}` of modules", shown(&text.value));
            return Err(problems.add(Flaw::new(message, "no such class", cure).at(&text.span)));
        };
        let lists = [(&class.modules, &mut self.modules), (&class.initrd, &mut self.initrd)];
        for (patterns, list) in lists {
            for pattern in patterns {
                let pattern = problems.check(&text.span, pattern.parse())?;
                if !list.contains(&pattern) {
                    list.push(pattern);
                }
            }
        }
        Ok(())
    }

    fn module(&mut self, text: &Text, problems: &mut Problems) -> Result<(), Reported> {
        once(&mut self.modules, parsed(text, problems)?, &text.span, problems)
    }

    /// The initrd takes its modules from the root, so none that the root does not keep.
    fn initrd(&mut self, text: &Text, problems: &mut Problems) -> Result<(), Reported> {
        let pattern: ModulePattern = parsed(text, problems)?;
        let kept: Modules = self.modules.iter().cloned().collect();
        if !kept.covers(&pattern) {
            let message = format!("the root does not keep `{}`", pattern.as_str());
            let cure = "add it to `kernel.modules`, or take it out";
            let flaw = Flaw::new(message, "the initrd takes its modules from the root", cure);
            return Err(problems.add(flaw.at(&text.span)));
        }
        once(&mut self.initrd, pattern, &text.span, problems)
    }
}

fn once(
    list: &mut Vec<ModulePattern>,
    pattern: ModulePattern,
    span: &Range<usize>,
    problems: &mut Problems,
) -> Result<(), Reported> {
    if list.contains(&pattern) {
        let message = format!("`{}` is there twice", pattern.as_str());
        let flaw = Flaw::new(message, "here, or in a class", "take it out");
        return Err(problems.add(flaw.at(span)));
    }
    list.push(pattern);
    Ok(())
}

fn argument(text: &str) -> Result<String, Flaw> {
    let flaw = |label| {
        let message = format!("`{}` can't be on the kernel's command line", shown(text));
        Flaw::new(message, label, "write one word of the kernel's parameters, like `quiet`")
    };
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() && c != '"') {
        return Err(flaw("it is not one plain word"));
    }
    let key = text.split('=').next().unwrap_or_default();
    if RESERVED.contains(&key) || key.starts_with("mailkiln.") {
        return Err(flaw("the builder writes this one"));
    }
    Ok(text.to_owned())
}
