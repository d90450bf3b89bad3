//! `seed.toml`: what of a seed people read and change by hand.
//!
//! In: its text. Out: a [`Seed`] without the keys that have files of their own; and the way back.
//! No error shows a line or a value: passwords may stand there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mailkiln_spec::{DEFAULT_INTERFACE, Flaw, parse_ssh_key, static_network};
use serde::Deserialize;

use crate::{Acme, Secret, Seed, SeedError, Ssh, Wifi, password};

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    host: String,
    admin: Option<String>,
    #[serde(default)]
    accounts: BTreeMap<String, String>,
    #[serde(default)]
    acme: AcmeTable,
    #[serde(default)]
    ssh: SshTable,
    #[serde(default)]
    wifi: Vec<WifiTable>,
    network: Option<NetworkTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcmeTable {
    eab_key: Option<String>,
    dns_key: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SshTable {
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WifiTable {
    name: String,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkTable {
    interface: Option<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    gateways: Vec<String>,
    #[serde(default)]
    resolvers: Vec<String>,
}

/// The interfaces that are meant when none is named: those of `mail.toml`, and with a wireless
/// network the radio's too.
fn default_interface(has_wifi: bool) -> String {
    format!("{DEFAULT_INTERFACE}{}", if has_wifi { " wl*" } else { "" })
}

/// Longest key: many times what authorities, name servers and DNS companies make.
const LONGEST_KEY: usize = 1024;

/// Longest name of a wireless network in bytes (IEEE 802.11, 9.4.2.2).
const LONGEST_SSID: usize = 32;

/// Reads the text of a `seed.toml`.
pub(crate) fn parse(text: &str) -> Result<Seed, SeedError> {
    let document: Document = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
    let mut accounts = BTreeMap::new();
    for (address, hash) in document.accounts {
        let hash = hashed(&format!("the password of {}", address.escape_debug()), hash)?;
        accounts.insert(address.parse().map_err(SeedError::Value)?, hash);
    }
    let keys = document.ssh.keys.iter().map(|key| parse_ssh_key(key));
    let has_wifi = !document.wifi.is_empty();
    let network = document.network.map(|table| {
        let interface = table.interface.unwrap_or_else(|| default_interface(has_wifi));
        static_network(&interface, &table.addresses, &table.gateways, &table.resolvers)
    });
    let wifi = document.wifi.into_iter().map(wireless).collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = twice(&wifi) {
        return Err(SeedError::Value(Flaw::new(
            format!("the wireless network {name:?} is there twice"),
            "for the second time",
            "take it out",
        )));
    }
    Ok(Seed {
        host: document.host.parse().map_err(SeedError::Value)?,
        admin: document.admin.map(|hash| hashed("`admin`", hash)).transpose()?,
        accounts,
        dkim: BTreeMap::new(),
        acme_account_key: None,
        acme: Acme {
            eab_key: document.acme.eab_key.map(eab_key).transpose()?,
            dns_key: document.acme.dns_key.map(dns_key).transpose()?,
        },
        ssh: Ssh {
            keys: keys.collect::<Result<_, _>>().map_err(SeedError::Value)?,
            host_key: None,
        },
        wifi,
        network: network.transpose().map_err(SeedError::Value)?,
    })
}

fn hashed(place: &str, text: String) -> Result<Secret, SeedError> {
    if password::is_hash(&text) {
        return Ok(Secret::new(text));
    }
    let why = "is not a password hash: `openssl passwd -6` creates one; it begins with `$6$`";
    Err(SeedError::BadSecret { place: place.to_owned(), why })
}

/// A key in base64 or base64url, with or without padding: authorities differ.
fn eab_key(text: String) -> Result<Secret, SeedError> {
    let digits = text.trim_end_matches('=');
    let base64 = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b));
    if base64 && (16..=LONGEST_KEY).contains(&digits.len()) && text.len() - digits.len() <= 2 {
        return Ok(Secret::new(text));
    }
    let why = "is not a key in base64: write it exactly as its owner gave it to you";
    Err(SeedError::BadSecret { place: "`acme.eab_key`".to_owned(), why })
}

/// A TSIG key, or what a DNS company asks for: one or more words.
fn dns_key(text: String) -> Result<Secret, SeedError> {
    let words = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if words && (16..=LONGEST_KEY).contains(&text.len()) {
        return Ok(Secret::new(text));
    }
    let why = "is neither a TSIG key nor what a DNS company gives: write it as it was shown to you, in one line";
    Err(SeedError::BadSecret { place: "`acme.dns_key`".to_owned(), why })
}

fn wireless(table: WifiTable) -> Result<Wifi, SeedError> {
    let WifiTable { name, password } = table;
    if name.is_empty() || name.len() > LONGEST_SSID || name.chars().any(char::is_control) {
        return Err(SeedError::Value(Flaw::new(
            "the name of a wireless network can't be used",
            "it has 1 to 32 bytes, none of them a control character",
            "write the name as other devices show it",
        )));
    }
    let fits = |text: &String| {
        (8..=63).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
    };
    if password.as_ref().is_some_and(|text| !fits(text)) {
        return Err(SeedError::BadSecret {
            place: format!("the password of the wireless network {name:?}"),
            why: "has not 8 to 63 characters of ASCII, as WPA demands",
        });
    }
    Ok(Wifi { name, password: password.map(Secret::new) })
}

fn twice(wifi: &[Wifi]) -> Option<&str> {
    let mut names: Vec<&str> = wifi.iter().map(|wifi| wifi.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// The error of the parser, without the line that it is about, and without what stands there.
fn unreadable(text: &str, error: &toml::de::Error) -> SeedError {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
    // serde quotes a value that has the wrong type: "invalid type: string "…", expected …".
    let message = error.message().lines().next().unwrap_or_default();
    let why = match message.strip_prefix("invalid ") {
        Some(rest) => match rest.rfind(", expected ") {
            Some(at) => format!("not what belongs there{}", &rest[at..]),
            None => "not what belongs there".to_owned(),
        },
        None => message.escape_debug().to_string(),
    };
    SeedError::Document { line, why }
}

/// The text of a `seed.toml`, with examples for what the seed does not have.
pub(crate) fn write(seed: &Seed) -> String {
    let mut text = format!(
        "\
# The seed of {0}: what its appliance should not generate itself. Keep this folder private.
# mailkiln flash --seed DIR IMAGE DEVICE writes an image and the seed, mailkiln seed apply DEVICE DIR the seed alone.
host = {1}

# The administrator's password, as `openssl passwd -6` hashes it. Without it, the device generates one.
",
        seed.host,
        quoted(seed.host.as_str())
    );
    match &seed.admin {
        Some(hash) => line(&mut text, "admin", hash.expose()),
        None => text.push_str("#admin = \"$6$...\"\n"),
    }
    text.push_str(
        "\n# First passwords of accounts, hashed too. The device generates missing ones.\n",
    );
    text.push_str("[accounts]\n");
    for (address, hash) in &seed.accounts {
        line(&mut text, &quoted(&address.to_string()), hash.expose());
    }
    text.push_str(
        "\n# Keys that others gave you for getting certificates: of an authority that binds accounts (`acme.eab_key_id`),\n\
         # and of the name server that takes signed updates or the DNS company (`acme.dns_provider`).\n",
    );
    let keys = [("eab_key", &seed.acme.eab_key), ("dns_key", &seed.acme.dns_key)];
    match keys.iter().any(|(_, key)| key.is_some()) {
        true => text.push_str("[acme]\n"),
        false => text.push_str("#[acme]\n#eab_key = \"...\"\n#dns_key = \"...\"\n"),
    }
    for (name, key) in keys {
        if let Some(key) = key {
            line(&mut text, name, key.expose());
        }
    }
    text.push_str("\n# Who may log in over SSH, beside the keys in mail.toml.\n");
    if seed.ssh.keys.is_empty() {
        text.push_str("#[ssh]\n#keys = [\"ssh-ed25519 AAAA... you@laptop\"]\n");
    } else {
        let keys: Vec<String> = seed.ssh.keys.iter().map(|key| quoted(key)).collect();
        let _ = writeln!(text, "[ssh]\nkeys = [{}]", keys.join(", "));
    }
    text.push_str(
        "\n# Wireless networks, on boards that have an antenna. An open one has no password.\n",
    );
    if seed.wifi.is_empty() {
        text.push_str("#[[wifi]]\n#name = \"Home\"\n#password = \"...\"\n");
    }
    for wifi in &seed.wifi {
        let _ = writeln!(text, "[[wifi]]\nname = {}", quoted(&wifi.name));
        if let Some(password) = &wifi.password {
            line(&mut text, "password", password.expose());
        }
    }
    network(seed, &mut text);
    text
}

fn network(seed: &Seed, text: &mut String) {
    text.push_str("\n# Static addresses, in place of what mail.toml says.\n");
    let Some(network) = &seed.network else {
        text.push_str(
            "#[network]\n#addresses = [\"192.0.2.10/24\"]\n#gateways = [\"192.0.2.1\"]\n#resolvers = [\"9.9.9.9\"]\n",
        );
        return;
    };
    let list = |values: Vec<String>| {
        values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ")
    };
    let _ = write!(
        text,
        "[network]\ninterface = {}\naddresses = [{}]\ngateways = [{}]\nresolvers = [{}]\n",
        quoted(&network.interface),
        list(network.addresses.iter().map(ToString::to_string).collect()),
        list(network.gateways.iter().map(ToString::to_string).collect()),
        list(network.resolvers.iter().map(ToString::to_string).collect()),
    );
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {}", quoted(value));
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
