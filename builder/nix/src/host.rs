//! The flake of one host.
//!
//! In: a `mail.toml`. Out: `flake.nix`, which imports our module, `configuration.nix`, which sets what
//! the file says and nothing else, and a README with the commands to try. No secret is in them.

use crate::modules::HOSTS_OWN;
use crate::source::{BadNix, Source};
use crate::value::Value;

const ORIGIN: &str = "host` from a mail.toml; it is yours now.";

/// The files of the flake.
///
/// # Errors
/// [`BadNix`], which only a defect of ours causes.
pub fn host(mail_toml: &toml::Table) -> Result<Vec<Source>, BadNix> {
    Ok(vec![
        Source::new("flake.nix", ORIGIN, &Value::code(include_str!("../written/host/flake.nix")))?,
        Source::new("configuration.nix", ORIGIN, &configuration(mail_toml))?,
        Source {
            path: "README.md".to_owned(),
            text: include_str!("../written/host/README.md").to_owned(),
        },
    ])
}

/// Tables that a host has options of its own for.
fn configuration(mail_toml: &toml::Table) -> Value {
    let mut settings = mail_toml.clone();
    settings.retain(|table, _| !HOSTS_OWN.contains(&table));
    // A mail.toml has neither NaN nor infinity: it was checked.
    let settings = Value::from_toml(&toml::Value::Table(settings)).unwrap_or(Value::Null);
    let module = Value::attrs([
        ("enable", Value::Bool(true)),
        ("openFirewall", Value::Bool(true)),
        ("settings", settings),
    ]);
    Value::code(format!("{{ ... }}: {{ services.mailkiln = {module}; }}"))
}
