//! The flake of one host.
//!
//! In: a `mail.toml`. Out: `flake.nix`, which imports our module, `configuration.nix`, which sets what
//! the file says and nothing else, and a README with the commands to try. No secret is in them: the
//! options for secrets stand there as comments, to be taken up.

use crate::modules::IMAGE_ONLY;
use crate::source::{BadNix, Source};
use crate::value::{Key, Value};

/// That of the flake's own nixpkgs.
const RELEASE: &str = "26.05";
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

/// What `mail.toml` says, but for what a host says itself.
fn configuration(mail_toml: &toml::Table) -> Value {
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
    let secrets = secrets(&settings);
    // A mail.toml has neither NaN nor infinity: it was checked.
    let settings = Value::from_toml(&toml::Value::Table(settings)).unwrap_or(Value::Null);
    let mut said = String::from("enable = true;\nopenFirewall = true;\n");
    if find(mail_toml, "acme", "enable").and_then(toml::Value::as_bool) != Some(false) {
        said.push_str("acme = \"mailkiln\";\n");
    }
    said.push_str(&format!("settings = {settings};\n"));
    said.push_str("# Made on the host, unless a file is named. Take up what you bring, for example from sops-nix or agenix:\n");
    for (option, file) in secrets {
        said.push_str(&format!(
            "# secrets.{option} = {};\n",
            Value::text(format!("/run/secrets/{file}"))
        ));
    }
    // A release is written here once, when the host is installed.
    let release = format!(
        "# The NixOS release that the host was installed with; it stays when the host is updated.\n\
         system.stateVersion = \"{RELEASE}\";\n"
    );
    Value::code(format!("{{ ... }}: {{ {release} services.mailkiln = {{ {said} }}; }}"))
}

/// The options for secrets that the settings have a use for, each with the name of a file.
fn secrets(settings: &toml::Table) -> Vec<(String, String)> {
    let mut secrets = vec![("adminPasswordFile".to_owned(), "mail-admin".to_owned())];
    for address in names(settings, "account", "address") {
        secrets.push((format!("accounts.{}.passwordFile", Key(address)), address.to_owned()));
    }
    for domain in names(settings, "domain", "name") {
        for (option, kind) in [("rsaKeyFile", "rsa"), ("ed25519KeyFile", "ed25519")] {
            let file = format!("dkim-{kind}-{domain}.pem");
            secrets.push((format!("dkim.{}.{option}", Key(domain)), file));
        }
    }
    let challenge = find(settings, "acme", "challenge").and_then(toml::Value::as_str);
    for (wanted, option, file) in [
        (find(settings, "relay", "user").is_some(), "relayPasswordFile", "relay-password"),
        (find(settings, "acme", "eab_key_id").is_some(), "acmeEabKeyFile", "acme-eab-key"),
        (challenge == Some("dns-01"), "acmeDnsKeyFile", "acme-dns-key"),
    ] {
        if wanted {
            secrets.push((option.to_owned(), file.to_owned()));
        }
    }
    secrets
}

fn find<'a>(settings: &'a toml::Table, table: &str, key: &str) -> Option<&'a toml::Value> {
    settings.get(table)?.get(key)
}

/// A key of each table of a list.
fn names<'a>(settings: &'a toml::Table, list: &str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let tables = settings.get(list).and_then(toml::Value::as_array).into_iter().flatten();
    tables.filter_map(move |table| table.get(key)?.as_str())
}
