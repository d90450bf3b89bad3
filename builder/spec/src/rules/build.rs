//! `[build]`: where packages and compiled units come from.

use super::{each, table_or_empty};
use crate::document::Located;
use crate::file::{BuildTable, Text};
use crate::model::{Build, UnitCaches};
use crate::problem::{Flaw, Problems, Reported, shown};

/// Length of the base64 of an Ed25519 key.
const KEY_LENGTH: usize = 44;

pub(super) fn judge(
    table: Option<Located<BuildTable>>,
    problems: &mut Problems,
) -> Result<Build, Reported> {
    let (table, _) = table_or_empty(table);
    let help = "write it as in apt's sources, like `https://mirror.example.net/debian`";
    let mirror = table.mirror.map(|text| address(&text, "a mirror", help, problems)).transpose();
    let help = "write an address like `https://units.example.org`; a folder has the form `file:///srv/units`";
    let from = each(table.units_from, |text| address(&text, "a unit cache", help, problems));
    let keys = each(table.units_keys, |text| key(text, problems));
    Ok(Build { mirror: mirror?, units: UnitCaches { from: from?, keys: keys? } })
}

/// An address without a slash at its end; `what` names what is there.
fn address(
    text: &Text,
    what: &str,
    help: &str,
    problems: &mut Problems,
) -> Result<String, Reported> {
    let url = text.value.trim_end_matches('/');
    let rest = ["https://", "http://", "file:///"].iter().find_map(|it| url.strip_prefix(it));
    let whole = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let clean = url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c));
    let secret = rest.and_then(|rest| rest.split('/').next()).is_some_and(|it| it.contains('@'));
    let label = match (whole, clean, secret) {
        (false, ..) => "it starts with none of https://, http:// and file:///".to_owned(),
        (_, false, _) => format!("it has characters that can't be in the address of {what}"),
        (_, _, true) => "it has a login in it, and this file is no place for secrets".to_owned(),
        _ => return Ok(url.to_owned()),
    };
    let message = format!("`{}` can't be {what}", shown(&text.value));
    Err(problems.add(Flaw::new(message, label, help).at(&text.span)))
}

/// A public key as `NAME:BASE64`.
fn key(text: Text, problems: &mut Problems) -> Result<String, Reported> {
    let (name, encoded) = text.value.split_once(':').unwrap_or_default();
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let digits = encoded.strip_suffix('=').unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if named && encoded.len() == KEY_LENGTH && digits.bytes().all(is_digit) {
        return Ok(text.value);
    }
    let message = format!("`{}` is not a public key", shown(&text.value));
    let help = "write what `mailkiln keygen` printed for whoever signs the units: NAME:BASE64";
    Err(problems.add(Flaw::new(message, "not NAME:BASE64 of 32 bytes", help).at(&text.span)))
}
