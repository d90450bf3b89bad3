//! `mailkiln diff`: what is different between two images, file by file.
//!
//! Exit codes are those of diff(1): 1 says that they differ, and nothing else; what prevents the
//! comparison is 2. Everything in an image may be foreign, so its texts are escaped before they are
//! printed.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use mailkiln_image::compare::{Change, Difference, Group, Image, compare};
use serde::Serialize;

use crate::arguments::DiffArguments;
use crate::failure::Failure;
use crate::printer::Printer;

/// Differences of a group that people are shown unless they ask for all.
const FIRST: usize = 20;

/// Prints what differs.
pub(super) fn run(arguments: &DiffArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let open = |path: &Path| mailkiln_format::open(path).map_err(|error| Failure::input(&error));
    let (first, second) = (open(&arguments.first)?, open(&arguments.second)?);
    let names = [&arguments.first, &arguments.second].map(|path| path.display().to_string());
    let differences = {
        let wrong = |error| {
            Failure::input(&error).with_hint("is it a complete image from `mailkiln build`?")
        };
        let first = Image::open(&names[0], &*first).map_err(wrong)?;
        let second = Image::open(&names[1], &*second).map_err(wrong)?;
        compare(&first, &second).map_err(wrong)?
    };
    let shown = if arguments.all { usize::MAX } else { FIRST };
    let report = Report::of(names, &differences, shown);
    printer.result(&report).map_err(|failure| Failure::input(&failure))?;
    Ok(ExitCode::from(u8::from(!report.same)))
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    first: String,
    second: String,
    /// Whether nothing differs.
    same: bool,
    groups: Vec<GroupReport>,
    /// Differences of a group that people are shown.
    #[serde(skip)]
    shown: usize,
}

#[derive(Serialize)]
struct GroupReport {
    group: &'static str,
    #[serde(skip)]
    title: Group,
    differences: Vec<DifferenceReport>,
}

#[derive(Serialize)]
struct DifferenceReport {
    /// The partition, boot file, file or package.
    subject: String,
    change: ChangeReport,
    /// What differs about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aspects: Vec<AspectReport>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ChangeReport {
    OnlyFirst,
    OnlySecond,
    Differs,
}

#[derive(Serialize)]
struct AspectReport {
    what: &'static str,
    /// Its value in the first image, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<String>,
}

impl Report {
    fn of([first, second]: [String; 2], differences: &[Difference], shown: usize) -> Self {
        let groups = Group::ALL.into_iter().filter_map(|title| {
            let of_group = differences.iter().filter(|difference| difference.group == title);
            let differences: Vec<_> = of_group.map(DifferenceReport::of).collect();
            let group = title.id();
            (!differences.is_empty()).then_some(GroupReport { group, title, differences })
        });
        let groups = groups.collect();
        Self { first, second, same: differences.is_empty(), groups, shown }
    }
}

impl DifferenceReport {
    fn of(difference: &Difference) -> Self {
        let (change, aspects) = match &difference.change {
            Change::OnlyFirst => (ChangeReport::OnlyFirst, &[][..]),
            Change::OnlySecond => (ChangeReport::OnlySecond, &[][..]),
            Change::Differs(aspects) => (ChangeReport::Differs, aspects.as_slice()),
        };
        let aspects = aspects.iter().map(|aspect| {
            let (first, second) = aspect.values.clone().unzip();
            let [first, second] = [first, second].map(|value| value.as_deref().map(escaped));
            AspectReport { what: aspect.what, first, second }
        });
        Self { subject: escaped(&difference.subject), change, aspects: aspects.collect() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, .. } = self;
        if self.same {
            return writeln!(f, "{first} and {second} hold the same.");
        }
        writeln!(f, "- {first}\n+ {second}")?;
        for group in &self.groups {
            writeln!(f, "\n{}: {}", group.title, group.counts())?;
            for difference in group.differences.iter().take(self.shown) {
                writeln!(f, "{difference}")?;
            }
            match group.differences.len().saturating_sub(self.shown) {
                0 => {}
                more => writeln!(f, "  and {more} more; --all lists them")?,
            }
        }
        Ok(())
    }
}

impl GroupReport {
    /// How many there are of each change, as far as there are any.
    fn counts(&self) -> String {
        let count = |change, what| {
            let number = self.differences.iter().filter(|one| one.change == change).count();
            (number > 0).then(|| format!("{number} {what}"))
        };
        let counts = [
            count(ChangeReport::Differs, "differ"),
            count(ChangeReport::OnlyFirst, "only in the first"),
            count(ChangeReport::OnlySecond, "only in the second"),
        ];
        counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for DifferenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.change {
            ChangeReport::OnlyFirst => '-',
            ChangeReport::OnlySecond => '+',
            ChangeReport::Differs => '~',
        };
        write!(f, "  {mark} {}", self.subject)?;
        for (at, aspect) in self.aspects.iter().enumerate() {
            let gap = if at == 0 { ": " } else { ", " };
            write!(f, "{gap}{}", aspect.what)?;
            if let (Some(first), Some(second)) = (&aspect.first, &aspect.second) {
                write!(f, " {first} → {second}")?;
            }
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use mailkiln_image::compare::Aspect;

    use super::*;

    fn report(shown: usize) -> Report {
        let aspect = |what, values: Option<(&str, &str)>| Aspect {
            what,
            values: values.map(|(first, second)| (first.to_owned(), second.to_owned())),
        };
        let difference = |group, subject: &str, change| Difference {
            group,
            subject: subject.to_owned(),
            change,
        };
        let differs = |aspects| Change::Differs(aspects);
        let differences = [
            difference(
                Group::Partitions,
                "root\u{7}",
                differs(vec![aspect("type", Some(("a", "b")))]),
            ),
            difference(
                Group::Configuration,
                "/etc/hosts",
                differs(vec![aspect("mode", Some(("0644", "0600"))), aspect("content", None)]),
            ),
            difference(Group::Configuration, "/etc/one", Change::OnlyFirst),
            difference(Group::Configuration, "/etc/two", Change::OnlySecond),
        ];
        Report::of(["a.img".to_owned(), "b.img".to_owned()], &differences, shown)
    }

    #[test]
    fn people_see_the_groups_in_the_order_of_booting() {
        insta::assert_snapshot!(report(20).to_string(), @r"
        - a.img
        + b.img

        Partition table: 1 differ
          ~ root\u{7}: type a → b

        Configuration: 1 differ, 1 only in the first, 1 only in the second
          ~ /etc/hosts: mode 0644 → 0600, content
          - /etc/one
          + /etc/two
        ");
        assert!(report(1).to_string().ends_with("and 2 more; --all lists them\n"));
    }

    #[test]
    fn nothing_that_differs_is_said_in_one_line() {
        let report = Report::of(["a.img".to_owned(), "b.img".to_owned()], &[], 20);
        assert_eq!(report.to_string(), "a.img and b.img hold the same.\n");
        assert!(report.same && !self::report(20).same);
    }

    #[test]
    fn programs_get_all_of_it() {
        let json = serde_json::to_value(report(1)).unwrap();
        insta::assert_snapshot!(serde_json::to_string(&json["groups"][1]).unwrap(), @r#"{"differences":[{"aspects":[{"first":"0644","second":"0600","what":"mode"},{"what":"content"}],"change":"differs","subject":"/etc/hosts"},{"change":"only-first","subject":"/etc/one"},{"change":"only-second","subject":"/etc/two"}],"group":"configuration"}"#);
        assert_eq!(json["same"], false);
    }
}
