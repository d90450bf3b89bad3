//! A service as an entry of `systemd.services`.
//!
//! In: the service as `mail.toml`s would have it that differ in what a module can't know: domains, and
//! tables that may be left out. Out: an attribute set in which the domains' part is a function of
//! the domains, and a table's part depends on it being there. What evaluates from it is what an image
//! has; a test compares the two.

use std::collections::BTreeMap;

use mailkiln_services::{Directive, RenderError, Service};

use crate::value::{Key, Piece, Value};

/// The domain of the specification that services are looked at with; in text it stands for each.
pub(crate) const DOMAIN: &str = "each-domain.invalid";
/// The same for the host.
pub(crate) const HOST: &str = "the-host.invalid";
/// Where programs of an image are.
const PROGRAMS: &str = "/usr/bin/mailkiln-";

/// A service, and what becomes of it when an optional table is there.
pub(crate) struct Variants<'a> {
    /// Without any optional table.
    pub(crate) plain: &'a Service,
    /// With one: the Nix condition for it, and the service then.
    pub(crate) with: Vec<(&'static str, &'a Service)>,
}

/// A setting's values: those that are always there, and those under a condition.
#[derive(Default)]
struct Values {
    always: Vec<String>,
    only: BTreeMap<&'static str, Vec<String>>,
}

type Settings = Vec<((String, String), Values)>;

/// The entry.
pub(crate) fn entry(variants: &Variants<'_>, names: &Names) -> Result<Value, RenderError> {
    let mut attrs: Vec<(String, Value)> = Vec::new();
    let (mut unit, mut service) = (Vec::new(), Vec::new());
    for ((section, key), values) in settings(variants)? {
        match (section.as_str(), key.as_str()) {
            (_, "Description") => attrs.push(("description".into(), names.setting(&values))),
            (_, "After" | "Before" | "Requires" | "Wants") => {
                attrs.push((key.to_lowercase(), words(&values)));
            }
            (_, "WantedBy") => attrs.push(("wantedBy".into(), words(&values))),
            (_, "StartLimitIntervalSec") => {
                attrs.push(("startLimitIntervalSec".into(), names.setting(&values)))
            }
            (_, "Environment") => {}
            ("Unit", _) => unit.push((key, names.setting(&values))),
            _ => service.push((key, names.setting(&values))),
        }
    }
    let environment = &variants.plain.environment;
    if !environment.is_empty() {
        let pairs = environment.iter().map(|(name, value)| (*name, Value::text(value)));
        attrs.push(("environment".into(), Value::attrs(pairs)));
    }
    // What a service reads was made from the same options.
    attrs.push(("restartTriggers".into(), Value::List(vec![Value::code("cfg.files")])));
    if !unit.is_empty() {
        attrs.push(("unitConfig".into(), Value::Attrs(unit)));
    }
    attrs.push(("serviceConfig".into(), Value::Attrs(service)));
    Ok(Value::Attrs(attrs))
}

/// All settings in the order of the plain unit, then those that only a condition brings.
fn settings(variants: &Variants<'_>) -> Result<Settings, RenderError> {
    let mut settings = Settings::new();
    for Directive { section, key, value } in variants.plain.directives()? {
        slot(&mut settings, section, key).always.push(value);
    }
    for (condition, service) in &variants.with {
        for Directive { section, key, value } in service.directives()? {
            let values = slot(&mut settings, section, key);
            if !values.always.contains(&value) {
                values.only.entry(condition).or_default().push(value);
            }
        }
    }
    Ok(settings)
}

fn slot(settings: &mut Settings, section: String, key: String) -> &mut Values {
    let place = (section, key);
    let index = settings.iter().position(|(at, _)| *at == place).unwrap_or_else(|| {
        settings.push((place, Values::default()));
        settings.len() - 1
    });
    &mut settings[index].1
}

/// A list of units' names.
fn words(values: &Values) -> Value {
    Value::List(values.always.iter().flat_map(|value| value.split(' ')).map(Value::text).collect())
}

/// What stands for something else in an image's units: the text, and the code in its place.
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    /// Names that hold for every service, and the secrets that people bring to these.
    pub(crate) fn of<'a>(services: impl Iterator<Item = &'a Service>) -> Self {
        let brought = secrets(services).into_iter();
        let secrets = brought.map(|(name, source)| (source, format!("cfg.secrets.{}", Key(&name))));
        let fixed = [(DOMAIN, "domain"), (HOST, "cfg.settings.host.name")];
        let fixed = fixed.map(|(text, code)| (text.to_owned(), code.to_owned()));
        Self(fixed.into_iter().chain(secrets).collect())
    }

    /// A setting of `unitConfig` or `serviceConfig`.
    fn setting(&self, values: &Values) -> Value {
        match (values.always.as_slice(), values.only.is_empty()) {
            ([only], true) if !only.contains(DOMAIN) => self.scalar(only),
            _ => self.list(values),
        }
    }

    /// `always ++ per domain ++ under conditions`.
    fn list(&self, values: &Values) -> Value {
        let (domains, fixed): (Vec<&String>, Vec<&String>) =
            values.always.iter().partition(|value| value.contains(DOMAIN));
        let strings = |values: &[&String]| {
            Value::List(values.iter().map(|value| self.string(value)).collect())
        };
        let mut parts = Vec::new();
        if !fixed.is_empty() {
            parts.push(strings(&fixed).to_string());
        }
        if !domains.is_empty() {
            let each = strings(&domains);
            parts.push(format!("lib.concatMap (domain: {each}) cfg.domainNames"));
        }
        for (condition, values) in &values.only {
            let values: Vec<&String> = values.iter().collect();
            parts.push(format!("lib.optionals ({condition}) {}", strings(&values)));
        }
        Value::code(parts.join(" ++ "))
    }

    /// Booleans and numbers as Nix has them, all else as a string.
    fn scalar(&self, value: &str) -> Value {
        match value {
            "yes" => Value::Bool(true),
            "no" => Value::Bool(false),
            number if number == "0" || !number.starts_with('0') => {
                number.parse().map_or_else(|_| self.string(value), Value::Int)
            }
            _ => self.string(value),
        }
    }

    /// A string with code in the places where an image has something fixed.
    fn string(&self, value: &str) -> Value {
        if value == "/usr" {
            return Value::code("builtins.storeDir");
        }
        let mut pieces = Vec::new();
        let mut rest = value;
        while let Some((at, length, code)) = self.next(rest) {
            pieces.push(Piece::Plain(rest[..at].to_owned()));
            pieces.push(Piece::Code(code));
            rest = &rest[at + length..];
        }
        pieces.push(Piece::Plain(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Plain(String::new()));
        match pieces.as_slice() {
            [Piece::Code(code)] => Value::code(code),
            _ => Value::Text(pieces),
        }
    }

    /// The first thing in `text` that is no literal: where, how long, and what stands for it.
    fn next(&self, text: &str) -> Option<(usize, usize, String)> {
        let known = self.0.iter().filter_map(|(name, code)| {
            text.find(name.as_str()).map(|at| (at, name.len(), code.clone()))
        });
        let program = text.find(PROGRAMS).map(|at| {
            let length = text[at..].find([' ', '"']).unwrap_or(text.len() - at);
            let unit = &text[at + PROGRAMS.len()..at + length];
            (at, length, format!("lib.getExe cfg.{}.package", Key(unit)))
        });
        known.chain(program).min_by_key(|(at, length, _)| (*at, usize::MAX - length))
    }
}

/// Secrets that people bring, by the name of their credential, with the place where an image has
/// them: those that a service can do without until then. The others the agent makes on the machine.
pub(crate) fn secrets<'a>(services: impl Iterator<Item = &'a Service>) -> BTreeMap<String, String> {
    let credentials = services.flat_map(|service| &service.credentials);
    let brought = credentials.filter(|credential| credential.fallback.is_some());
    brought.map(|credential| (credential.name.clone(), credential.source.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::of([].iter());
        names.0.push(("/s/relay".to_owned(), "cfg.secrets.relay".to_owned()));
        names
    }

    #[test]
    fn programs_and_domains_are_no_literals() {
        for (value, nix) in [
            ("yes", "true"),
            ("0077", "\"0077\""),
            ("0", "0"),
            ("180s", "\"180s\""),
            ("/usr", "builtins.storeDir"),
            (
                "/usr/bin/mailkiln-mail-server --config /x",
                r#""${lib.getExe cfg.mail-server.package} --config /x""#,
            ),
            (
                "k-each-domain.invalid:/d/each-domain.invalid.pem",
                r#""k-${domain}:/d/${domain}.pem""#,
            ),
            ("relay:/s/relay", r#""relay:${cfg.secrets.relay}""#),
            ("/usr/bin/mailkiln-agent", "lib.getExe cfg.agent.package"),
        ] {
            assert_eq!(names().scalar(value).to_string(), nix);
        }
    }

    #[test]
    fn lists_depend_on_domains_and_tables() {
        let values = Values {
            always: vec!["a:b".into(), "d-each-domain.invalid".into()],
            only: BTreeMap::from([("cfg.x != null", vec!["r".into()])]),
        };
        assert_eq!(
            names().setting(&values).to_string(),
            "[ \"a:b\" ] ++ lib.concatMap (domain: [ \"d-${domain}\" ]) cfg.domainNames \
             ++ lib.optionals (cfg.x != null) [ \"r\" ]"
        );
    }
}
