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
    use super::*;

    #[test]
    fn the_readme_lists_the_same() {
        let readme = include_str!("../../../../README.md");
        for Row { name, status, title, .. } in list().unwrap().0 {
            let row = format!("| `{name}` | {status} | {title} |");
            assert!(readme.contains(&row), "README.md lacks the line {row}");
        }
    }
}
