//! `mailkiln targets`: what images can be built for.

use std::fmt;

use mailkiln_spec::target::{Status, Target, builtin_targets};
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
}

impl From<Target> for Row {
    fn from(target: Target) -> Self {
        Self {
            name: target.name,
            arch: target.arch.to_string(),
            status: target.status,
            title: target.title,
            formats: target.formats.iter().map(ToString::to_string).collect(),
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

    /// Longest row of the README's table, in columns.
    const LONGEST: usize = 100;

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
                if !line.is_empty() && status.len() + line.len() + name.len() + 8 > LONGEST {
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
        let long = readme.lines().find(|line| line.chars().count() > 118);
        assert_eq!(long, None, "README.md has a line of more than 118 columns");
    }
}
