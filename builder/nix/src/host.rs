//! The flake of one host.
//!
//! In: a `mail.toml`. Out: `flake.nix`, which imports our module, `configuration.nix`, which sets what
//! the file says and nothing else, and a README with the commands to try: the templates in `written/host`.
//! No secret is in them: the options for secrets stand there as comments, to be taken up.

use mailkiln_template::Templates;
use serde_json::{Value as Json, json};

use crate::modules::IMAGE_ONLY;
use crate::source::{BadNix, Source};
use crate::value::{Key, Value};

const ORIGIN: &str = "host` from a mail.toml; it is yours now.";

/// The files of the flake.
const FILES: [(&str, &str); 3] = [
    ("flake.nix", include_str!("../written/host/flake.nix.hbs")),
    ("configuration.nix", include_str!("../written/host/configuration.nix.hbs")),
    ("README.md", include_str!("../written/host/README.md.hbs")),
];

/// The files of the flake.
///
/// # Errors
/// [`BadNix`], which only a defect of ours causes.
pub fn host(mail_toml: &toml::Table) -> Result<Vec<Source>, BadNix> {
    let templates = Templates::default()
        .with("nix", |value| Some(Value::from_json(value)?.to_string()))
        .with("nix_name", |value| Some(Key(value.as_str()?).to_string()));
    let facts = facts(mail_toml);
    let file = |(path, template): (&str, &str)| {
        let text = templates
            .render(template, &facts)
            .map_err(|error| BadNix { path: path.to_owned(), what: error.to_string() })?;
        match path.ends_with(".nix") {
            true => Source::new(path, ORIGIN, &Value::code(text)),
            false => Ok(Source { path: path.to_owned(), text }),
        }
    };
    FILES.into_iter().map(file).collect()
}

/// What the templates say of a `mail.toml`.
fn facts(mail_toml: &toml::Table) -> Json {
    let challenge = find(mail_toml, "acme", "challenge").and_then(toml::Value::as_str);
    json!({
        "settings": settings(mail_toml),
        "acme": find(mail_toml, "acme", "enable").and_then(toml::Value::as_bool) != Some(false),
        "accounts": names(mail_toml, "account", "address"),
        "domains": names(mail_toml, "domain", "name"),
        "relay_user": find(mail_toml, "relay", "user").is_some(),
        "acme_binding": find(mail_toml, "acme", "eab_key_id").is_some(),
        "acme_dns": challenge == Some("dns-01"),
    })
}

/// What `mail.toml` says, but for what a host says itself.
fn settings(mail_toml: &toml::Table) -> toml::Table {
    let mut settings = mail_toml.clone();
    for (path, _) in IMAGE_ONLY {
        match path.split_once('.') {
            None => drop(settings.remove(path)),
            Some((table, key)) => {
                let inner = settings.get_mut(table).and_then(toml::Value::as_table_mut);
                inner.and_then(|inner| inner.remove(key));
            }
        }
    }
    settings.retain(|_, value| !value.as_table().is_some_and(toml::Table::is_empty));
    settings
}

fn find<'a>(settings: &'a toml::Table, table: &str, key: &str) -> Option<&'a toml::Value> {
    settings.get(table)?.get(key)
}

/// A key of each table of a list.
fn names<'a>(settings: &'a toml::Table, list: &str, key: &str) -> Vec<&'a str> {
    let tables = settings.get(list).and_then(toml::Value::as_array).into_iter().flatten();
    tables.filter_map(|table| table.get(key)?.as_str()).collect()
}
