//! `mailkiln targets`: what images can be built for.

use std::fmt;

use mailkiln_spec::target::{SecureBoot, Status, Target, builtin_targets};
use serde::Serialize;

use crate::failure::Failure;
use crate::printer::Printer;

/// Lists the targets.
pub(super) fn run(printer: &Printer) -> Result<(), Failure> {
    printer.result(&list()?)
}

fn list() -> Result<Targets, Failure> {
    let targets = builtin_targets().map_err(|error| Failure::work(&error))?;
    Ok(Targets(targets.into_iter().map(Row::from).collect()))
}

#[derive(Debug, Serialize)]
struct Targets(Vec<Row>);

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    arch: String,
    status: Status,
    title: String,
    formats: Vec<String>,
    default_format: String,
    /// The length of its disk is a multiple of so many bytes.
    size_multiple: u64,
    /// Of a cloud or hypervisor.
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_boot: Option<SecureBoot>,
}

impl From<Target> for Row {
    fn from(target: Target) -> Self {
        Self {
            name: target.name,
            arch: target.arch.to_string(),
            status: target.status,
            title: target.title,
            formats: target.formats.iter().map(ToString::to_string).collect(),
            default_format: target.default_format.to_string(),
            size_multiple: target.disk.multiple.bytes(),
            secure_boot: target.provider.secure_boot,
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.name.len()).max().unwrap_or(0);
        for row in &self.0 {
            writeln!(f, "{:width$}  {:<14}  {}", row.name, row.status.to_string(), row.title)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Longest line of the README, in columns.
    const LONGEST: usize = 118;

    /// The names by status, in rows that fit the page.
    fn short_table(rows: &[Row]) -> String {
        let mut by_status: Vec<(String, Vec<String>)> = Vec::new();
        for row in rows {
            let status = row.status.to_string();
            let name = format!("`{}`", row.name);
            match by_status.iter_mut().find(|(known, _)| *known == status) {
                Some((_, names)) => names.push(name),
                None => by_status.push((status, vec![name])),
            }
        }
        by_status.sort();
        let mut table = "| status | targets |\n|---|---|\n".to_owned();
        for (status, names) in by_status {
            let mut line = String::new();
            for name in names {
                if !line.is_empty() && status.len() + line.len() + name.len() + 9 > LONGEST {
                    let _ = writeln!(table, "| {status} | {line} |");
                    line.clear();
                }
                line += if line.is_empty() { "" } else { ", " };
                line += &name;
            }
            let _ = writeln!(table, "| {status} | {line} |");
        }
        table
    }

    fn long_table(rows: &[Row]) -> String {
        let mut table = "| target | status | machines | formats |\n|---|---|---|---|\n".to_owned();
        for Row { name, status, title, formats, .. } in rows {
            let _ = writeln!(table, "| `{name}` | {status} | {title} | {} |", formats.join(", "));
        }
        table
    }

    /// Compares what stands between the marks of a page with `table`; writes it there when asked to.
    fn is_current(page: &str, table: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("<!-- targets: ").expect(page);
        let (mark, rest) = rest.split_once("-->\n").expect(page);
        let (old, tail) = rest.split_once("<!-- end of targets -->").expect(page);
        if std::env::var_os("MAILKILN_UPDATE").is_some() {
            let new =
                format!("{head}<!-- targets: {mark}-->\n{table}<!-- end of targets -->{tail}");
            fs::write(&path, new).unwrap();
            return;
        }
        assert_eq!(old, table, "{page} is outdated: run this test with MAILKILN_UPDATE=1");
    }

    #[test]
    fn the_readme_and_the_book_list_the_same() {
        let rows = list().unwrap().0;
        is_current("README.md", &short_table(&rows));
        is_current("docs/targets.md", &long_table(&rows));
    }

    #[test]
    fn the_readme_fits_two_screens() {
        let readme = include_str!("../../../../README.md");
        assert!(readme.lines().count() <= 100, "README.md has more than 100 lines");
        let long = readme.lines().find(|line| line.chars().count() > LONGEST);
        assert_eq!(long, None, "README.md has a line of more than {LONGEST} columns");
    }

    #[test]
    fn the_page_about_clouds_says_the_same() {
        let page = include_str!("../../../../docs/clouds.md");
        for row in list().unwrap().0 {
            let Row { name, formats, default_format, size_multiple, secure_boot, .. } = row;
            let (state, switch) = match secure_boot {
                None => continue,
                Some(SecureBoot::Off) => ("off", None),
                Some(SecureBoot::On { switch }) => ("on", Some(switch)),
            };
            let others = formats.iter().filter(|format| **format != default_format);
            let others: Vec<String> = others.map(|format| format!("`{format}`")).collect();
            let (others, multiple) = (others.join(", "), size_multiple >> 20);
            let row =
                format!("| `{name}` | `{default_format}` | {others} | {multiple} MiB | {state} |");
            assert!(page.contains(&row), "docs/clouds.md lacks the line {row}");
            // What is in backquotes is what is typed.
            for command in switch.iter().flat_map(|switch| switch.split('`').skip(1).step_by(2)) {
                assert!(page.contains(command), "docs/clouds.md lacks `{command}` for {name}");
            }
        }
    }
}
