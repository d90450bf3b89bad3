//! Names that are made of the architecture's or the kernel's, and what they have in common.
//!
//! In: what an image holds. Out: its names with these parts replaced, so that the same thing is found
//! in an image for another machine.

use mailkiln_pin::Arch;

use super::Group;
use crate::gpt;
use crate::inspect::Inspection;
use crate::uki::default_program;

/// Stand for the kernel's release, the architecture's name in paths of libraries, that of the program
/// that firmware starts, and the one in names of `dpkg`'s files: control characters, which no path
/// holds.
const RELEASE: &str = "\u{1}";
const LIBRARIES: &str = "\u{2}";
const PROGRAM: &str = "\u{3}";
const PACKAGES: &str = "\u{4}";

/// What names in an image are made of.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Text, and what stands for it.
    parts: Vec<(String, &'static str)>,
}

impl Names {
    /// The names of the image's architecture, as its root partition tells it, and of its kernels.
    pub(super) fn of(inspection: &Inspection<'_>) -> Self {
        let releases = inspection.kernels.iter().filter_map(|kernel| kernel.uname.clone());
        let mut parts: Vec<_> = releases
            .filter(|release| !release.is_empty())
            .map(|release| (release, RELEASE))
            .collect();
        let has_root = |arch: &Arch| {
            let kind = gpt::kind::root(*arch);
            inspection.table.partitions.iter().any(|partition| partition.kind == kind)
        };
        if let Some(arch) = Arch::ALL.into_iter().find(has_root) {
            parts.push((arch.multiarch().to_owned(), LIBRARIES));
            parts.push((format!(":{}.", arch.debian()), PACKAGES));
            parts.push((default_program(arch).to_owned(), PROGRAM));
        }
        Self { parts }
    }

    /// `name` with what is the architecture's or the kernel's replaced.
    pub(super) fn neutral(&self, name: &str) -> String {
        let mut neutral = name.to_owned();
        for (part, mark) in &self.parts {
            if neutral.contains(part) {
                neutral = neutral.replace(part, mark);
            }
        }
        neutral
    }

    /// The group of what has its name, or the name of its folder, from the kernel or from the
    /// architecture's libraries.
    pub(super) fn group(&self, name: &str) -> Option<Group> {
        let neutral = self.neutral(name);
        match () {
            () if neutral.contains(RELEASE) => Some(Group::Kernel),
            () if neutral.contains(LIBRARIES) => Some(Group::MachineCode),
            () => None,
        }
    }
}
