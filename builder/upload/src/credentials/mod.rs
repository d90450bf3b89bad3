//! Credentials from where each cloud's own tools keep them. None is printed, logged or given to a program as an argument.

pub mod aws;
pub mod azure;
pub mod bearer;
pub mod digitalocean;
pub mod gcp;
pub mod hetzner;
pub mod openstack;
pub mod oracle;
pub mod yaml;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::error::{UploadError, presentable};

/// Sections of an INI file, as AWS's and Oracle's tools write it: `[name]`, `key = value`, lines that begin with `#`
/// or `;` are comments. Indented lines belong to the value before and are left out.
pub fn ini(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) || line.starts_with([' ', '\t']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = Some(name.trim().to_owned());
            sections.entry(name.trim().to_owned()).or_default();
        } else if let (Some(section), Some((key, value))) = (&current, trimmed.split_once('=')) {
            let section = sections.entry(section.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    sections
}

/// What a program writes to standard output; its standard input is empty.
///
/// # Errors
/// [`UploadError::BadCredentials`] naming the program, with its last words.
pub fn output_of(program: &str, arguments: &[&str], hint: &str) -> Result<String, UploadError> {
    let failed = |reason: String| UploadError::BadCredentials {
        from: format!("the program `{program}`"),
        reason,
        hint: hint.to_owned(),
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(failed(format!("{}: {}", output.status, presentable(last))));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is not text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ini_files_are_read_as_the_tools_write_them() {
        let text =
            "a = lost\n[default]\nregion=eu-west-1\n# x\n[profile two]\n Key = no\nKey = a=b \n";
        let sections = ini(text);
        assert_eq!(sections["default"]["region"], "eu-west-1");
        assert_eq!(sections["profile two"]["key"], "a=b");
        assert_eq!(sections.len(), 2);
    }
}
