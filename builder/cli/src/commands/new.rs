//! `mailkiln new`: a commented `mail.toml` to start from.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use mailkiln_spec::DomainName;
use mailkiln_template::{BadTemplate, Templates};
use serde::Serialize;
use serde_json::json;

use crate::arguments::NewArguments;
use crate::failure::Failure;
use crate::printer::Printer;

/// A `mail.toml` that explains itself.
const TEMPLATE: &str = include_str!("../../templates/mail.toml.hbs");

/// Writes the file, unless there is one.
pub(super) fn run(arguments: &NewArguments, printer: &Printer) -> Result<(), Failure> {
    let path = &arguments.output;
    if arguments.generic {
        create(path, mailkiln_spec::GENERIC)?;
        let path = path.display().to_string();
        let config = if path == "mail.toml" { String::new() } else { format!(" -c {path}") };
        return printer.result(&Written { path, domain: None, config });
    }
    let domain = arguments.domain.as_deref().unwrap_or("example.test");
    let domain: DomainName = domain.parse().map_err(Failure::flaw)?;
    match arguments.demo {
        true => create(path, mailkiln_spec::DEFAULT)?,
        false => create(path, &commented(&domain).map_err(|error| Failure::work(&error))?)?,
    }
    let path = path.display().to_string();
    let config = if path == "mail.toml" { String::new() } else { format!(" -c {path}") };
    printer.result(&Written { path, domain: Some(domain.to_string()), config })
}

/// A commented, valid `mail.toml` for a domain, in the domain's own script.
fn commented(domain: &DomainName) -> Result<String, BadTemplate> {
    Templates::default().render(TEMPLATE, &json!({"domain": domain.to_unicode()}))
}

/// Writes a new file; one that exists is left alone, one that fails half way is taken back.
fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error
            .kind()
        {
            io::ErrorKind::AlreadyExists => Failure::Input {
                message: format!("{} exists", path.display()),
                causes: vec!["it was not changed".to_owned()],
                hint: Some("move it away, or choose another file with `-o FILE`".to_owned()),
            },
            _ => Failure::file("create", path)(error),
        })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        // The first error is the one to tell.
        let _ = fs::remove_file(path);
        Failure::file("write", path)(error)
    })
}

/// What was written.
#[derive(Serialize)]
struct Written {
    path: String,
    /// `None` for an image that is nobody's.
    domain: Option<String>,
    /// The option that names the file to other commands, where it is needed.
    #[serde(skip)]
    config: String,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, domain, config } = self;
        match domain {
            Some(domain) => {
                writeln!(f, "Wrote {path} for {domain}. Next:")?;
                writeln!(f, "  edit {path}: host name, accounts, network")?;
            }
            None => {
                writeln!(
                    f,
                    "Wrote {path} for machines that are told at first boot what they are. Next:"
                )?;
                writeln!(f, "  edit {path}: what holds for all of them")?;
            }
        }
        writeln!(f, "  mailkiln check{config}")?;
        writeln!(f, "  mailkiln build{config} --target x86_64")
    }
}

#[cfg(test)]
mod tests {
    use mailkiln_spec::parse;

    use super::*;

    #[test]
    fn the_template_is_valid_for_any_domain() {
        for domain in ["example.org", "bücher.example", "a.b.c.example"] {
            let domain: DomainName = domain.parse().unwrap();
            let spec = parse(&commented(&domain).unwrap()).unwrap();
            assert_eq!(spec.domains[0].name, domain);
            assert_eq!(spec.host.name.to_string(), format!("mail.{domain}"));
        }
    }

    /// Each line that is commented out must be valid once the comment sign is gone.
    #[test]
    fn what_the_template_suggests_is_valid_too() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let text = commented(&"example.org".parse().unwrap())
            .unwrap()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(code) if code.starts_with('[') || code.contains(" = ") => code,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
            .replace("ssh-ed25519 AAAA…", key);
        let spec = parse(&text).unwrap();
        assert!(spec.ssh.is_some() && spec.relay.is_some() && spec.mirror.is_some());
        assert_eq!(spec.network.addresses.len(), 2);
    }
}
