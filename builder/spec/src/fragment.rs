//! A fragment: what the owner of one machine sets of the image's `mail.toml`, by user-data.
//!
//! In: the image's `mail.toml`, the fragment, and which keys it may set. Out: the [`Spec`] of both, or
//! everything that is wrong with the fragment, with places in it. Pure; the appliance's agent calls it.

use std::borrow::Cow;
use std::ops::Range;

#[cfg(test)]
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{parse_table, placed, read_table};
use crate::file::{FragmentValue, MailToml};
use crate::model::Spec;
use crate::problem::{Flaw, Problems, Reported, SpecErrors};
use crate::{rules, schema};

/// What a domain is called that nobody has named: RFC 2606, 2.
const UNCONFIGURED: &str = "unconfigured.invalid";

/// Whether a machine may be told by its user-data what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FragmentRule {
    /// A fragment counts where there is one.
    #[default]
    Allowed,
    /// The image is nobody's: no mail service runs before there is one.
    Required,
    /// The image is what it is.
    Refused,
}

impl From<FragmentValue> for FragmentRule {
    fn from(value: FragmentValue) -> Self {
        match value {
            FragmentValue::Allowed => Self::Allowed,
            FragmentValue::Required => Self::Required,
            FragmentValue::Refused => Self::Refused,
        }
    }
}

/// The image's `mail.toml`, with what a fragment sets. `allowed` are keys, as `host.name`, or whole tables
/// and lists, as `account`. A fragment with domains replaces the image's accounts too, for they belong to
/// the image's domains; one with accounts also the image's postmaster, who is one of them.
///
/// # Errors
///
/// Everything that is wrong, in the fragment's order; what stands in the image's file is at its start.
pub fn parse_with_fragment(
    image: &str,
    fragment: &str,
    allowed: &[&str],
) -> Result<Spec, SpecErrors> {
    let mut problems = Problems::default();
    let spec = merged(image, fragment, allowed, &mut problems).and_then(|table| {
        let file = read_table::<MailToml>(fragment, table, &mut problems)?;
        rules::judge(file, &mut problems)
    });
    problems.finish(spec)
}

fn merged<'a>(
    image: &'a str,
    fragment: &'a str,
    allowed: &[&str],
    problems: &mut Problems,
) -> Result<DeTable<'a>, Reported> {
    let set = parse_table(fragment, problems)?;
    // A place in the image's file is none in the fragment.
    let mut table = placed(parse_table(image, problems)?, &(0..0));
    refuse_others(&set, allowed, problems);
    if is_required(&table) {
        fill_in_ssh_keys(&mut table);
    }
    if set.contains_key("domain") {
        table.remove("account");
    }
    if set.contains_key("domain") || set.contains_key("account") {
        // One of the accounts that are replaced.
        if let Some(DeValue::Table(mail)) = table.get_mut("mail").map(Spanned::get_mut) {
            mail.remove("postmaster");
        }
    }
    for (key, value) in set {
        let known = table.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
        match (known, value.get_ref()) {
            (Some(DeValue::Table(known)), DeValue::Table(_)) => {
                if let DeValue::Table(set) = value.into_inner() {
                    known.extend(set);
                }
            }
            _ => {
                table.remove(key.get_ref().as_ref());
                table.insert(key, value);
            }
        }
    }
    Ok(table)
}

/// Reports keys that `mail.toml` knows and a fragment may not set. Unknown ones are reported as those of
/// every file.
fn refuse_others(set: &DeTable<'_>, allowed: &[&str], problems: &mut Problems) {
    let schema = schema::of::<MailToml>();
    let knows = |pointer: &str| schema.as_value().pointer(pointer).is_some();
    let allowed_keys: Vec<String> = allowed.iter().map(|key| format!("`{key}`")).collect();
    let mut refuse = |key: &str, span: Range<usize>| {
        let flaw = Flaw::new(
            format!("a fragment can't set `{key}`"),
            "the image decides this",
            format!(
                "take it out, or build an image with it; a fragment sets {}",
                allowed_keys.join(", ")
            ),
        );
        problems.add(flaw.at(&span));
    };
    for (key, value) in set {
        let name: &str = key.get_ref();
        if allowed.contains(&name) || !knows(&format!("/properties/{name}")) {
            continue;
        }
        let parts = allowed.iter().filter_map(|it| it.strip_prefix(name)?.strip_prefix('.'));
        let parts: Vec<&str> = parts.collect();
        match value.get_ref() {
            DeValue::Table(table) if !parts.is_empty() => {
                for (key, _) in table {
                    let part: &str = key.get_ref();
                    if !parts.contains(&part)
                        && knows(&format!("/properties/{name}/properties/{part}"))
                    {
                        refuse(&format!("{name}.{part}"), key.span());
                    }
                }
            }
            _ if parts.is_empty() => refuse(name, key.span()),
            _ => {}
        }
    }
}

/// What stands in for the names of an image that waits for its fragment. With names of its own it has
/// those.
pub(crate) fn fill_in(table: &mut DeTable<'_>) {
    if !is_required(table) {
        return;
    }
    fill_in_ssh_keys(table);
    let named = || {
        let name = DeValue::String(UNCONFIGURED.into());
        DeTable::from_iter([(key("name"), nowhere_but(name))])
    };
    let host = table.entry(key("host"));
    let host = host.or_insert_with(|| nowhere_but(DeValue::Table(DeTable::new())));
    if let DeValue::Table(host) = host.get_mut() {
        host.entry(key("name"))
            .or_insert_with(|| nowhere_but(DeValue::String(UNCONFIGURED.into())));
    }
    let list = || DeValue::Array([nowhere_but(DeValue::Table(named()))].into_iter().collect());
    table.entry(key("domain")).or_insert_with(|| nowhere_but(list()));
}

/// The cloud knows who may sign in to an image without an owner.
fn fill_in_ssh_keys(table: &mut DeTable<'_>) {
    if let Some(DeValue::Table(ssh)) = table.get_mut("ssh").map(Spanned::get_mut) {
        ssh.entry(key("keys")).or_insert_with(|| nowhere_but(DeValue::Array(Default::default())));
    }
}

fn is_required(table: &DeTable<'_>) -> bool {
    let rule = table.get("first_boot").and_then(|it| it.get_ref().get("fragment"));
    rule.and_then(|it| it.get_ref().as_str()) == Some("required")
}

fn key(name: &'static str) -> Spanned<Cow<'static, str>> {
    Spanned::new(0..0, Cow::Borrowed(name))
}

fn nowhere_but(value: DeValue<'_>) -> Spanned<DeValue<'_>> {
    Spanned::new(0..0, value)
}

/// The text of a `mail.toml` as an image carries it for fragments: without comments, which may say more than
/// a published image should, and without `[build]`, which is the builder's affair. `None` for no TOML.
pub fn for_the_image(text: &str) -> Option<String> {
    let mut table: toml::Table = text.parse().ok()?;
    table.remove("build");
    toml::to_string(&table).ok()
}

/// Keys that an image of this spec refuses to have set, as JSON for tests: every key of the schema.
#[cfg(test)]
fn keys(schema: &Json) -> Vec<String> {
    let tables = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
    tables.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const ALLOWED: &[&str] = &["host.name", "domain", "account", "relay", "acme.contact"];
    const IMAGE: &str = "[host]\nname = \"mail.example.org\"\ntimezone = \"Europe/Berlin\"\n[[domain]]\nname = \"example.org\"\n\
                         [[account]]\naddress = \"alice@example.org\"\n[mail]\npostmaster = \"alice@example.org\"\n\
                         [acme]\nkeep_key = false\n[build]\nmirror = \"https://deb.example.org/debian\"\n";
    const GENERIC: &str =
        "[first_boot]\nfragment = \"required\"\n[ssh]\n[host]\ntimezone = \"UTC\"\n";
    const FRAGMENT: &str = "#mailkiln\n[host]\nname = \"mx.example.net\"\n[[domain]]\nname = \"example.net\"\n\
                            [[account]]\naddress = \"bob@example.net\"\n[acme]\ncontact = \"bob@example.net\"\n";

    #[test]
    fn a_fragment_replaces_what_it_sets_and_the_rest_is_the_images() {
        let spec = parse_with_fragment(IMAGE, FRAGMENT, ALLOWED).unwrap();
        assert_eq!(spec.host.name.as_str(), "mx.example.net");
        assert_eq!(spec.host.timezone, "Europe/Berlin");
        let accounts: Vec<_> = spec.accounts.iter().map(|it| it.address.to_string()).collect();
        assert_eq!((spec.domains.len(), accounts), (1, vec!["bob@example.net".to_owned()]));
        assert_eq!(spec.mail.postmaster.to_string(), "postmaster@example.net");
        let acme = spec.acme.unwrap();
        assert_eq!((acme.contact.to_string().as_str(), acme.keep_key), ("bob@example.net", false));
        assert!(!spec.is_waiting);
        let spec =
            parse_with_fragment(IMAGE, "[[account]]\naddress = \"carol@example.org\"", ALLOWED);
        assert_eq!(spec.unwrap().accounts[0].address.to_string(), "carol@example.org");
        assert_eq!(parse_with_fragment(IMAGE, "", ALLOWED).unwrap(), parse(IMAGE).unwrap());
    }

    #[test]
    fn an_image_without_names_waits_for_them() {
        let spec = parse(GENERIC).unwrap();
        assert!(spec.is_waiting && spec.accounts.is_empty());
        assert_eq!(spec.host.name.as_str(), UNCONFIGURED);
        assert_eq!(spec.ssh.unwrap().keys, Vec::<String>::new());
        let spec = parse_with_fragment(GENERIC, FRAGMENT, ALLOWED).unwrap();
        assert!(!spec.is_waiting && spec.domains[0].name.as_str() == "example.net");
        let error = parse_with_fragment(GENERIC, "[host]\nname = \"a.example.net\"", ALLOWED);
        assert!(error.unwrap_err().to_string().contains("there is no [[domain]]"));
        // Without the word, names are needed, and so are SSH keys.
        assert!(parse(&GENERIC.replace("required", "allowed")).is_err());
    }

    #[test]
    fn mistakes_have_their_place_in_the_fragment() {
        for (fragment, marked, part) in [
            ("[host]\nnmae = \"a.b\"", "nmae", "did you mean `name`?"),
            ("[host]\ntimezone = \"UTC\"", "timezone", "a fragment can't set `host.timezone`"),
            ("[network]\nipv6 = false", "network", "a fragment can't set `network`"),
            ("[build]\nmirror = \"https://x\"", "build", "a fragment can't set `build`"),
            ("[first_boot]\nfragment = \"refused\"", "first_boot", "can't set `first_boot`"),
            ("[acme]\nkey = \"rsa-2048\"", "key", "a fragment can't set `acme.key`"),
            ("[relay]\nhost = 7", "7", "`relay.host` must be text"),
            ("x = ", "", "this is not TOML"),
            ("[[account]]\naddress = \"bob@example.net\"", "\"bob@example.net\"", "no [[domain]]"),
            ("host = 1", "1", "`host` must be a table"),
        ] {
            let errors = parse_with_fragment(IMAGE, fragment, ALLOWED).unwrap_err();
            let problem = &errors.problems()[0];
            assert!(errors.to_string().contains(part), "{fragment}: {errors}");
            assert_eq!(&fragment[problem.span.clone()], marked, "{fragment}: {errors}");
        }
    }

    #[test]
    fn every_key_is_allowed_or_refused() {
        let schema = schema::of::<MailToml>();
        for key in keys(schema.as_value()) {
            let fragment = format!("{key} = 1");
            let errors = parse_with_fragment(IMAGE, &fragment, &[]).unwrap_err();
            assert!(
                errors.to_string().contains(&format!("a fragment can't set `{key}`")),
                "{errors}"
            );
        }
    }

    #[test]
    fn what_an_image_carries_has_no_comments_and_means_the_same() {
        let carried = for_the_image(&format!("# call 555\n{IMAGE}")).unwrap();
        assert!(!carried.contains('#') && !carried.contains("mirror"), "{carried}");
        let spec = parse(IMAGE).unwrap();
        let spec = Spec { mirror: None, ..spec };
        assert_eq!(parse(&carried).unwrap(), spec);
    }
}
