//! A service as an entry of `systemd.services`.
//!
//! In: the service as `mail.toml`s would have it that differ in what a module can't know: domains, and
//! tables that may be left out. Out: an attribute set in which the domains' part is a function of
//! the domains, and a table's part depends on it being there. What evaluates from it is what an image
//! has; a test compares the two.

use mailkiln_services::{Directive, RenderError, Service, Socket};

use crate::value::{Key, Piece, Value};

/// The domain of the specification that services are looked at with; in text it stands for each.
pub(crate) const DOMAIN: &str = "each-domain.invalid";
/// The same for the host.
pub(crate) const HOST: &str = "the-host.invalid";
/// The same for a ClamAV elsewhere.
pub(crate) const CLAMD: &str = "10.254.253.252";
/// The service that makes accounts, and so the only one that a change of them concerns.
const PROVISION: &str = "mailkiln-provision";
/// What a host may set otherwise without `mkForce`: it knows what else runs on it.
const LIMITS: [&str; 8] = [
    "MemoryHigh",
    "MemoryMax",
    "TasksMax",
    "LimitNOFILE",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "RestartSec",
    "RestartMaxDelaySec",
];
/// Where programs of an image are.
const PROGRAMS: &str = "/usr/bin/mailkiln-";

/// What an image has in a fixed place or under one name, and the code that says where a host has it.
const NAMES: [(&str, &str); 4] = [
    (HOST, "cfg.settings.host.name"),
    // `10.0.0.5:3310` or `[fd00::5]:3310`.
    (
        CLAMD,
        r#"lib.head (lib.defaultTo [ cfg.settings.filter.clamd ] (builtins.match "\\[?([^]]+)]?:[0-9]+" cfg.settings.filter.clamd))"#,
    ),
    ("/run/mailkiln-seed/seed", "cfg.secrets.seedFile"),
    ("/usr/bin/systemctl", r#"lib.getExe' config.systemd.package "systemctl""#),
];

/// A service, and what becomes of it when an optional table is there.
pub(crate) struct Variants<'a> {
    /// Without any optional table.
    pub(crate) plain: &'a Service,
    /// With one: the Nix condition for it, and the service then.
    pub(crate) with: Vec<(&'static str, &'a Service)>,
}

/// A setting's values: those that are always there, and what conditions make of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    always: Vec<String>,
    /// What a condition adds, with all conditions that add it.
    more: Vec<(Vec<&'static str>, String)>,
    /// What is there in their place under a condition; the first that holds counts.
    instead: Vec<(&'static str, Vec<String>)>,
}

impl Values {
    /// What `plain` becomes under each of the conditions.
    pub(crate) fn of(plain: Vec<String>, with: Vec<(&'static str, Vec<String>)>) -> Self {
        let mut values = Self { always: plain, ..Self::default() };
        for (condition, with) in with {
            match values.always.iter().all(|value| with.contains(value)) {
                true => with.into_iter().for_each(|value| values.add(condition, value)),
                false => values.replace(condition, with),
            }
        }
        values
    }

    fn replace(&mut self, condition: &'static str, with: Vec<String>) {
        // A condition that begins with another's is the narrower one, and asked first.
        let wider = self.instead.iter().position(|(known, _)| condition.starts_with(known));
        match wider {
            Some(at) if self.instead[at].1 == with => {}
            Some(at) => self.instead.insert(at, (condition, with)),
            None => self.instead.push((condition, with)),
        }
    }

    fn add(&mut self, condition: &'static str, value: String) {
        if self.always.contains(&value) {
            return;
        }
        match self.more.iter_mut().find(|(_, added)| *added == value) {
            None => self.more.push((vec![condition], value)),
            // Where the one holds, the other does.
            Some((known, _)) if known.iter().any(|known| condition.starts_with(known)) => {}
            Some((known, _)) => known.push(condition),
        }
    }
}

/// Settings in their order, by section and key.
type Settings = Vec<((String, String), Values)>;

/// The entry of `systemd.services`.
pub(crate) fn entry(variants: &Variants<'_>, names: &Names) -> Result<Value, RenderError> {
    let with = variants.with.iter();
    let with = with.map(|(condition, it)| Ok::<_, RenderError>((*condition, it.directives()?)));
    let settings = settings(variants.plain.directives()?, with.collect::<Result<_, _>>()?);
    let mut attrs = attributes(settings, "serviceConfig", names);
    let environment = &variants.plain.environment;
    let at = attrs.iter().position(|(name, _)| name.ends_with("Config")).unwrap_or(attrs.len());
    // What a service reads was made from the same options. Accounts are what one service alone sets.
    let read = if variants.plain.name == PROVISION { "cfg.files" } else { "cfg.trigger" };
    let read = Value::List(vec![Value::code(read)]);
    attrs.insert(at, ("restartTriggers".into(), read));
    if !environment.is_empty() {
        let pairs = environment.iter().map(|(name, value)| (*name, Value::text(value)));
        attrs.insert(at, ("environment".into(), Value::attrs(pairs)));
    }
    Ok(Value::Attrs(attrs))
}

/// What starts it again and again: entries of `systemd.timers` and `systemd.paths`, with those names.
pub(crate) fn triggers(
    service: &Service,
    names: &Names,
) -> Result<Vec<(&'static str, Value)>, RenderError> {
    let entry = |(unit, directives): (String, Vec<Directive>)| {
        let (set, config) = match unit.ends_with(".timer") {
            true => ("timers", "timerConfig"),
            false => ("paths", "pathConfig"),
        };
        (set, Value::Attrs(attributes(settings(directives, Vec::new()), config, names)))
    };
    Ok(service.trigger_directives()?.into_iter().map(entry).collect())
}

/// The entry of `systemd.sockets` for a socket of a service, with its name.
pub(crate) fn socket(
    service: &Service,
    socket: &Socket,
    names: &Names,
) -> Result<(String, Value), RenderError> {
    let (unit, directives) = service.socket_directives(socket)?;
    let entry = attributes(settings(directives, Vec::new()), "socketConfig", names);
    Ok((unit.trim_end_matches(".socket").to_owned(), Value::Attrs(entry)))
}

/// Settings as nixpkgs has them; `config` is the set for those of the unit's own kind.
fn attributes(settings: Settings, config: &str, names: &Names) -> Vec<(String, Value)> {
    let mut attrs: Vec<(String, Value)> = Vec::new();
    let (mut unit, mut own) = (Vec::new(), Vec::new());
    for ((section, key), values) in settings {
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
            (_, "User" | "Group" | "SocketGroup") => own.push((key, user_setting(&values))),
            (_, limit) if LIMITS.contains(&limit) => {
                let value = names.setting(&values);
                own.push((key, Value::code(format!("lib.mkDefault {value}"))));
            }
            _ => own.push((key, names.setting(&values))),
        }
    }
    if !unit.is_empty() {
        attrs.push(("unitConfig".into(), Value::Attrs(unit)));
    }
    attrs.push((config.into(), Value::Attrs(own)));
    attrs
}

/// All settings in the order of the plain unit, then those that only a condition brings.
fn settings(plain: Vec<Directive>, with: Vec<(&'static str, Vec<Directive>)>) -> Settings {
    let mut places: Vec<(String, String)> = Vec::new();
    for Directive { section, key, .. } in plain.iter().chain(with.iter().flat_map(|(_, all)| all)) {
        if !places.iter().any(|(a, b)| a == section && b == key) {
            places.push((section.clone(), key.clone()));
        }
    }
    let values = |(section, key): (String, String)| {
        let here = |all: &[Directive]| -> Vec<String> {
            let here = all.iter().filter(|it| it.section == section && it.key == key);
            here.map(|it| it.value.clone()).collect()
        };
        let with = with.iter().map(|(condition, all)| (*condition, here(all))).collect();
        let values = Values::of(here(&plain), with);
        ((section, key), values)
    };
    places.into_iter().map(values).collect()
}

/// The name that a user of an image has on a host.
pub(crate) fn user_name(name: &str) -> &str {
    let user = mailkiln_unit::user(name);
    user.and_then(|user| user.nixos_name.as_deref()).unwrap_or(name)
}

fn user_setting(values: &Values) -> Value {
    Value::text(values.always.first().map_or("", |name| user_name(name)))
}

/// A list of units' names.
fn words(values: &Values) -> Value {
    Value::List(values.always.iter().flat_map(|value| value.split(' ')).map(Value::text).collect())
}

/// What stands for something else in an image's units: the text, and the code in its place.
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    /// Names that hold for every service.
    pub(crate) fn new() -> Self {
        Self(NAMES.map(|(text, code)| (text.to_owned(), code.to_owned())).to_vec())
    }

    /// A setting of `unitConfig` or `serviceConfig`.
    pub(crate) fn setting(&self, values: &Values) -> Value {
        Self::chosen(values, |values| match (values.always.as_slice(), values.more.is_empty()) {
            ([only], true) if !only.contains(DOMAIN) => self.scalar(only),
            _ => self.list(values),
        })
    }

    /// A list, also of one.
    pub(crate) fn numbers(&self, values: &Values) -> Value {
        Self::chosen(values, |values| self.list(values))
    }

    /// The first of what is instead that holds, or what is there otherwise.
    fn chosen(values: &Values, written: impl Fn(&Values) -> Value) -> Value {
        values.instead.iter().rev().fold(written(values), |otherwise, (condition, values)| {
            let then = written(&Values { always: values.clone(), ..Values::default() });
            Value::code(format!("if {condition} then {then} else {otherwise}"))
        })
    }

    /// `always ++ under conditions`. What depends on a domain comes with the files: only the program
    /// that makes them knows how a domain is spelled in ASCII.
    fn list(&self, values: &Values) -> Value {
        let fixed: Vec<&String> =
            values.always.iter().filter(|value| !value.contains(DOMAIN)).collect();
        let strings = |values: &[&String]| {
            Value::List(values.iter().map(|value| self.scalar(value)).collect())
        };
        let mut parts = Vec::new();
        if !fixed.is_empty() || values.more.is_empty() {
            parts.push(strings(&fixed).to_string());
        }
        let mut conditions: Vec<&Vec<&'static str>> =
            values.more.iter().map(|(it, _)| it).collect();
        conditions.dedup();
        for condition in conditions {
            let values = values.more.iter().filter(|(it, _)| it == condition);
            let values: Vec<&String> = values.map(|(_, value)| value).collect();
            let any = condition.join(") || (");
            let any = if condition.len() == 1 { any } else { format!("({any})") };
            parts.push(format!("lib.optionals ({any}) {}", strings(&values)));
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

#[cfg(test)]
mod tests {
    use super::*;

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
            ("seed:/run/mailkiln-seed/seed", r#""seed:${cfg.secrets.seedFile}""#),
            ("/usr/bin/mailkiln-agent", "lib.getExe cfg.agent.package"),
        ] {
            assert_eq!(Names::new().scalar(value).to_string(), nix);
        }
    }

    fn setting(plain: &[&str], with: &[(&'static str, &[&str])]) -> String {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        let with = with.iter().map(|(condition, values)| (*condition, owned(values))).collect();
        Names::new().setting(&Values::of(owned(plain), with)).to_string()
    }

    #[test]
    fn lists_depend_on_domains_and_tables() {
        let plain = ["a:b", "d-each-domain.invalid"];
        assert_eq!(
            setting(&plain, &[("x != null", &["a:b", "d-each-domain.invalid", "r"])]),
            r#"[ "a:b" ] ++ lib.optionals (x != null) [ "r" ]"#
        );
        // What follows from another condition is not said again.
        let both: &[(&str, &[&str])] = &[("x", &["a", "r"]), ("x && y", &["a", "r", "s"])];
        assert_eq!(
            setting(&["a"], both),
            r#"[ "a" ] ++ lib.optionals (x) [ "r" ] ++ lib.optionals (x && y) [ "s" ]"#
        );
        let either: &[(&str, &[&str])] = &[("x", &["r"]), ("y", &["r"])];
        assert_eq!(setting(&[], either), r#"lib.optionals ((x) || (y)) [ "r" ]"#);
    }

    #[test]
    fn a_condition_may_replace_a_value() {
        let with: &[(&str, &[&str])] = &[("x", &["CAP_A"]), ("y", &[""]), ("z", &[])];
        assert_eq!(setting(&["CAP_A"], with), r#"if y then "" else if z then [ ] else "CAP_A""#);
    }
}
