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
    use super::*;

    #[test]
    fn the_readme_lists_the_same() {
        let readme = include_str!("../../../../README.md");
        for Row { name, status, title, .. } in list().unwrap().0 {
            let row = format!("| `{name}` | {status} | {title} |");
            assert!(readme.contains(&row), "README.md lacks the line {row}");
        }
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
