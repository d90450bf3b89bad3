//! Which modules need which: GRUB's `moddep.lst`.
//!
//! In: lines `name: needed needed`, and the modules wanted. Out: all that have to be loaded,
//! each after what it needs, in the order in which `grub-mkimage` takes them too.

use std::collections::{BTreeMap, BTreeSet};

/// The closure of `wanted`, dependencies first.
pub(super) fn in_order<'a>(dependencies: &'a str, wanted: &[&'a str]) -> Vec<&'a str> {
    let needs: BTreeMap<&str, Vec<&str>> = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        // grub-mkimage reads each line's names into a stack, so it takes the last one first.
        .map(|(name, rest)| (name.trim(), rest.split_whitespace().rev().collect()))
        .collect();
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    // A stack of modules to load; `true` once what a module needs has been put before it.
    let mut stack: Vec<(&str, bool)> = wanted.iter().rev().map(|name| (*name, false)).collect();
    while let Some((name, ready)) = stack.pop() {
        if ready {
            order.push(name);
        } else if seen.insert(name) {
            stack.push((name, true));
            let needed = needs.get(name).map_or(&[] as &[&str], Vec::as_slice);
            stack.extend(needed.iter().rev().map(|needed| (*needed, false)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let list = "fat: fshelp\nnormal: boot net\nnet: boot priority\nlinux: boot normal\ncycle: a\na: cycle\n";
        assert_eq!(in_order(list, &["fat"]), ["fshelp", "fat"]);
        assert_eq!(
            in_order(list, &["linux", "fat", "normal"]),
            ["priority", "boot", "net", "normal", "linux", "fshelp", "fat"]
        );
        assert_eq!(in_order(list, &["cycle"]), ["a", "cycle"]);
        assert_eq!(in_order("", &["alone"]), ["alone"]);
    }
}
