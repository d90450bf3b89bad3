//! Compares the packages that two roots say they hold.

use super::{Aspect, Change, Difference, Group, Pair, Side, pair};
use crate::inspect::{Package, Root};

/// Packages are the same ones when name and architecture are; one of the image's own architecture
/// stands for one of the other's.
pub(super) fn compare(sides: [Side<'_, '_>; 2], roots: [&Root<'_>; 2]) -> Vec<Difference> {
    let [first, second] = [0, 1].map(|at| {
        let names = &sides[at].image.names;
        let key = |package: &Package| (names.neutral(&package.name), package.architecture == "all");
        roots[at].packages.iter().map(|package| (key(package), package)).collect::<Vec<_>>()
    });
    let difference = |package: &Package, change| Difference {
        group: Group::Packages,
        subject: package.name.clone(),
        change,
    };
    let differences = pair(first, second).into_iter().filter_map(|pair| match pair {
        Pair::First(package) => Some(difference(package, Change::OnlyFirst)),
        Pair::Second(package) => Some(difference(package, Change::OnlySecond)),
        Pair::Both(one, two) => {
            let version = Aspect::of("version", &one.version, &two.version)?;
            Some(difference(one, Change::Differs(vec![version])))
        }
    });
    differences.collect()
}
