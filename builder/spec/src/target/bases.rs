//! Bases: parts of a target file that several targets extend.
//!
//! In: the files of `images/bases/`, and the table of a target that names some of them. Out: the table
//! with what its bases say. A base is what targets share: a cloud, or the clouds of one processor.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{parse_table, placed};
use crate::problem::{Flaw, Problems, Reported, nearest, shown};

/// The key that names bases.
const KEY: &str = "extends";
/// Lists that take in what bases have, the bases' entries first. Any other value takes the place of a base's.
const GROWING: [&str; 7] = [
    "kernel.arguments",
    "kernel.classes",
    "kernel.initrd",
    "kernel.modules",
    "packages.enable",
    "packages.extra",
    "packages.sets",
];

/// Texts of bases by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bases(BTreeMap<String, String>);

impl<'a> FromIterator<(&'a str, &'a str)> for Bases {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(files: I) -> Self {
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        Self(files.into_iter().map(owned).collect())
    }
}

/// Completes a target's table with the bases that it names; of two bases, the later one decides. What a base
/// says is as if it stood where the target names it, for problems that the rules find in it.
pub(super) fn complete<'t>(
    table: &mut DeTable<'t>,
    bases: &'t Bases,
    problems: &mut Problems,
) -> Result<(), Reported> {
    let Some(named) = table.remove(KEY) else { return Ok(()) };
    let span = named.span();
    let DeValue::Array(names) = named.into_inner() else {
        return Err(problems.add(not_names().at(&span)));
    };
    let mut whole = DeTable::new();
    for name in names {
        let span = name.span();
        let DeValue::String(name) = name.into_inner() else {
            return Err(problems.add(not_names().at(&span)));
        };
        lay(&mut whole, base(&name, &span, bases, problems)?, "");
    }
    lay(&mut whole, std::mem::take(table), "");
    *table = whole;
    Ok(())
}

/// The table of a base, each value of which stands at `span`.
fn base<'t>(
    name: &str,
    span: &Range<usize>,
    bases: &'t Bases,
    problems: &mut Problems,
) -> Result<DeTable<'t>, Reported> {
    let Some(text) = bases.0.get(name) else {
        let cure = match nearest(name, bases.0.keys().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", bases.0.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no base `{}`", shown(name));
        return Err(problems.add(Flaw::new(message, "no such file in images/bases", cure).at(span)));
    };
    let mut own = Problems::default();
    let table = parse_table(text, &mut own);
    let table = own.finish(table).map_err(|errors| {
        let message = format!("images/bases/{name}.toml can't be read: {errors}");
        problems.add(Flaw::new(message, "this base", "correct that file").at(span))
    })?;
    if table.contains_key(KEY) {
        let message = format!("images/bases/{name}.toml has `{KEY}`, and a base extends nothing");
        let flaw = Flaw::new(message, "this base", "name both bases in the target");
        return Err(problems.add(flaw.at(span)));
    }
    Ok(placed(table, span))
}

/// Puts `over` onto `under`; `place` is the dotted name of the table, with a dot at its end.
fn lay<'t>(under: &mut DeTable<'t>, over: DeTable<'t>, place: &str) {
    for (key, value) in over {
        let dotted = format!("{place}{}", key.get_ref());
        let Some(below) = under.get_mut(key.get_ref().as_ref()) else {
            under.insert(key, value);
            continue;
        };
        let span = value.span();
        match (below.get_mut(), value.into_inner()) {
            (DeValue::Table(below), DeValue::Table(over)) => {
                lay(below, over, &format!("{dotted}."));
            }
            (DeValue::Array(below), DeValue::Array(over)) if GROWING.contains(&dotted.as_str()) => {
                for entry in over {
                    below.push(entry);
                }
            }
            (_, over) => *below = Spanned::new(span, over),
        }
    }
}

fn not_names() -> Flaw {
    let cure = "write a list of files of images/bases, like `extends = [\"cloud-x86_64\"]`";
    Flaw::new("`extends` names no bases", "not a list of names", cure)
}

#[cfg(test)]
mod tests {
    use super::super::builtin::builtin_shared;
    use super::super::{Mib, Shared, parse};

    const TARGET: &str = "extends = [\"cloud\", \"arm\"]
title = \"x\"
[kernel]
modules = [\"drivers/one\"]
[disk]
root = 512
verity = 8
";
    const CLOUD: &str = "title = \"a cloud\"
status = \"built-only\"
consoles = [\"tty0\", \"ttyS0\"]
formats = [\"img\", \"qcow2\"]
default_format = \"img\"
[kernel]
package = \"linux-image-cloud-arm64\"
modules = [\"fs\"]
initrd = [\"fs/squashfs\"]
[boot]
chain = [\"uefi\"]
[disk]
esp = 128
root = 256
verity = 4
";
    const ARM: &str = "arch = \"aarch64\"\nconsoles = [\"ttyAMA0\"]\n";

    fn shared<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Shared {
        Shared { classes: builtin_shared().unwrap().classes, bases: files.into_iter().collect() }
    }

    #[test]
    fn what_a_target_says_goes_over_its_bases_and_modules_come_together() {
        let target = parse("x", TARGET, &shared([("cloud", CLOUD), ("arm", ARM)])).unwrap();
        assert_eq!(target.title, "x");
        assert_eq!((target.disk.esp, target.disk.root), (Mib(128), Mib(512)));
        let words: Vec<String> = target.consoles.iter().map(|it| it.argument()).collect();
        assert_eq!(words, ["console=ttyAMA0"]);
        let patterns: Vec<&str> =
            target.kernel.modules.patterns().iter().map(|pattern| pattern.as_str()).collect();
        assert_eq!(patterns, ["fs", "drivers/one"]);
    }

    #[test]
    fn a_fault_of_a_base_is_shown_where_the_target_names_it() {
        let bad_esp = CLOUD.replace("esp = 128", "esp = 8");
        let unread = CLOUD.replace("esp = 128", "esp = ");
        let chained = format!("extends = [\"arm\"]\n{CLOUD}");
        for (cloud, reason) in [
            (bad_esp.as_str(), "too few clusters"),
            (&unread, "images/bases/cloud.toml can't be read"),
            (&chained, "a base extends nothing"),
            (&CLOUD.replace("[disk]", "[disks]"), "did you mean `disk`?"),
        ] {
            let shared = shared([("cloud", cloud), ("arm", ARM)]);
            let text = TARGET.replace("root = 512\nverity = 8\n", "");
            let errors = parse("x", &text, &shared).unwrap_err();
            let problem = &errors.problems()[0];
            assert!(errors.to_string().contains(reason), "{errors}");
            assert_eq!(&text[problem.span.clone()], "\"cloud\"", "{errors}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for (list, reason) in [
            ("[\"cluod\", \"arm\"]", "did you mean `cloud`?"),
            ("\"cloud\"", "not a list of names"),
            ("[1]", "not a list of names"),
        ] {
            let text = TARGET.replace("[\"cloud\", \"arm\"]", list);
            let shared = shared([("cloud", CLOUD), ("arm", ARM)]);
            let said = parse("x", &text, &shared).unwrap_err().to_string();
            assert!(said.contains(reason), "{said}");
        }
    }
}
