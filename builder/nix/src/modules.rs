//! The modules: one file for what all share, and one for each unit.
//!
//! In: the [`Model`], and the schema of `mail.toml`. Out: the files of `modules/`. A unit that is new in
//! the model gets a file without a change here.

use mailkiln_services::RenderError;

use crate::model::Model;
use crate::options::options;
use crate::source::{BadNix, Source};
use crate::units::{Names, entry, socket, triggers, user_name};
use crate::value::{Key, Value};

const ORIGIN: &str = "modules` from the service model; a change here is lost.";

/// Keys of `mail.toml` that a host has no option for, and why. One that does not exist is no mistake.
pub const IMAGE_ONLY: [(&str, &str); 5] = [
    ("acme.enable", "`services.mailkiln.acme` says who gets the certificate"),
    ("build", "it says how an image is built"),
    ("first_boot", "it says what user-data may change, and a host is built anew for every change"),
    ("network", "the host's `networking` says it"),
    ("ssh", "the host's `services.openssh` says it"),
];

/// Units whose options are in a module of their own, since there is more to choose than their package.
const APART_FROM_UNIT: [&str; 1] = ["acme"];

/// Modules that are written by hand and stand in `modules/` alone: what no model says, because an image has no use for it.
const WRITTEN: [(&str, &str); 7] = [
    ("acme-client.nix", include_str!("../../../modules/acme-client.nix")),
    ("files.nix", include_str!("../../../modules/files.nix")),
    ("clamav.nix", include_str!("../../../modules/clamav.nix")),
    ("certificates.nix", include_str!("../../../modules/certificates.nix")),
    ("loopback.nix", include_str!("../../../modules/loopback.nix")),
    ("secrets.nix", include_str!("../../../modules/secrets.nix")),
    ("surroundings.nix", include_str!("../../../modules/surroundings.nix")),
];

/// What a host imports by itself, because others must not have it: the disk of an image.
const APART: (&str, &str) = ("image.nix", include_str!("../../../modules/image.nix"));

/// Why there are no modules: each is a defect of ours.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// A specification of ours is refused.
    #[error("a specification that modules are made from is refused: {0}")]
    Spec(String),
    /// The schema is no JSON.
    #[error("the schema of mail.toml can't be read: {0}")]
    Schema(#[from] serde_json::Error),
    /// A unit can't be written down.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// What was written is no Nix.
    #[error(transparent)]
    Nix(#[from] BadNix),
}

/// The files of `modules/`, sorted by path.
///
/// # Errors
/// [`ModulesError`], which only a defect of ours causes.
pub fn modules() -> Result<Vec<Source>, ModulesError> {
    let model = Model::new()?;
    let schema = serde_json::from_str(&mailkiln_spec::json_schema())?;
    let names = Names::new();
    let mut sources = vec![
        Source::new("default.nix", ORIGIN, &imports(&model))?,
        Source::new("settings.nix", ORIGIN, &shared(&model, &schema))?,
    ];
    for (path, text) in WRITTEN.into_iter().chain([APART]) {
        sources.push(Source::written(path, text)?);
    }
    for unit in model.units() {
        let path = format!("{unit}.nix");
        sources.push(Source::new(&path, ORIGIN, &unit_module(&model, unit, &names)?)?);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn module(options: &Value, condition: &str, config: &Value) -> Value {
    let declared = match options.to_string().as_str() {
        "{ }" => String::new(),
        options => format!("options.services.mailkiln = {options}; "),
    };
    let body = format!("{{ {declared}config = lib.mkIf {condition} {config}; }}");
    // Who declares no package asks nixpkgs for nothing.
    let arguments = if body.contains("pkgs") { "config, lib, pkgs" } else { "config, lib" };
    Value::code(format!("{{ {arguments}, ... }}: let cfg = config.services.mailkiln; in {body}"))
}

fn option(attrs: Vec<(&str, Value)>) -> Value {
    Value::code(format!("lib.mkOption {}", Value::attrs(attrs)))
}

fn flag(default: bool, description: &str) -> Value {
    option(vec![
        ("type", Value::code("lib.types.bool")),
        ("default", Value::Bool(default)),
        ("example", Value::Bool(!default)),
        ("description", Value::Prose(description.to_owned())),
    ])
}

/// What all units share: settings, files made from them, users, secrets.
fn shared(model: &Model, schema: &serde_json::Value) -> Value {
    let declared = [
        (
            "enable",
            Value::code(
                "lib.mkEnableOption \"the mail server of Mailkiln with all that belongs to it\"",
            ),
        ),
        ("package", Value::code("lib.mkPackageOption pkgs \"mailkiln\" { }")),
        (
            "openFirewall",
            flag(
                false,
                "Whether to open the ports of the mail server, and of the proofs for its certificate, in the firewall.",
            ),
        ),
        ("settings", options(schema, &IMAGE_ONLY.map(|(key, _)| key))),
    ];
    let etc = model.files().into_iter().map(|(path, condition)| {
        let source = Value::code(format!("\"${{cfg.files}}/etc/{path}\""));
        (path, only(condition.as_deref(), Value::attrs([("source", source)])))
    });
    let config = format!(
        "{{ environment.etc = {}; users = {}; systemd.tmpfiles.settings.mailkiln = {}; }}",
        Value::attrs(etc),
        users(model),
        directories(model),
    );
    module(&Value::attrs(declared), "cfg.enable", &Value::code(config))
}

fn imports(model: &Model) -> Value {
    let written = WRITTEN.iter().map(|(path, _)| (*path).to_owned());
    let units = model.units().into_iter().map(|unit| format!("{unit}.nix"));
    let paths: Vec<String> =
        std::iter::once("settings.nix".to_owned()).chain(written).chain(units).collect();
    Value::code(format!("{{ imports = [ ./{} ]; }}", paths.join(" ./")))
}

/// The options of `modules` as a page of the book.
pub fn options_reference(modules: &[Source]) -> String {
    crate::reference::reference(modules)
}

/// `value` under a condition.
fn only(condition: Option<&str>, value: Value) -> Value {
    match condition {
        Some(condition) => Value::code(format!("lib.mkIf ({condition}) {value}")),
        None => value,
    }
}

fn users(model: &Model) -> Value {
    let user = |user: &mailkiln_services::User| {
        let attrs = [
            ("isSystemUser", Value::Bool(true)),
            ("group", Value::text(user_name(user.name))),
            ("description", Value::text(user.purpose)),
        ];
        (user_name(user.name), only(model.user_condition(user), Value::attrs(attrs)))
    };
    let group = |user: &mailkiln_services::User| {
        let none = Value::attrs::<&str>([]);
        (user_name(user.name), only(model.user_condition(user), none))
    };
    let users = model.users();
    Value::attrs([
        ("users", Value::attrs(users.iter().map(user))),
        ("groups", Value::attrs(users.iter().map(group))),
    ])
}

/// Directories that services share. Those of a service alone are its `StateDirectory`.
fn directories(model: &Model) -> Value {
    Value::attrs(model.directories().map(|it| {
        let name = user_name(it.owner.name);
        let owner = || [("user", Value::text(&*name)), ("group", Value::text(&*name))];
        let mode = ("mode", Value::text(format!("{:04o}", it.mode)));
        let mut rules = vec![("d", Value::attrs(std::iter::once(mode).chain(owner())))];
        if it.whole {
            rules.push(("Z", Value::attrs(owner())));
        }
        (it.path, Value::attrs(rules))
    }))
}

/// The module of one unit.
fn unit_module(model: &Model, unit: &str, names: &Names) -> Result<Value, ModulesError> {
    let foreign = mailkiln_unit::unit(unit).is_some_and(|unit| unit.nix.foreign);
    let package = Value::text(format!("mailkiln-{unit}"));
    let usual = ("package", Value::code(format!("lib.mkPackageOption pkgs {package} {{ }}")));
    let declared = [(unit, Value::attrs([usual]))];
    let declared =
        Value::attrs(declared.into_iter().filter(|(unit, _)| !APART_FROM_UNIT.contains(unit)));
    let mut sets: [(&str, Vec<(&str, Value)>); 3] =
        [("services", Vec::new()), ("timers", Vec::new()), ("paths", Vec::new())];
    let (mut ports, mut sockets) = (Vec::new(), Vec::new());
    for service in model.of_unit(unit) {
        let condition = model.condition(service);
        let mut entry = entry(&model.variants(service), names)?;
        if foreign {
            speak_plainly(&mut entry, unit);
        }
        let units = std::iter::once(("services", entry)).chain(triggers(service, names)?);
        for (set, entry) in units {
            let entries = sets.iter_mut().filter(|(name, _)| *name == set);
            entries.for_each(|(_, all)| all.push((service.name, only(condition, entry.clone()))));
        }
        for (opened, when) in model.sockets(service) {
            let (name, entry) = socket(service, opened, names)?;
            let all: Vec<String> =
                condition.map(|it| format!("({it})")).into_iter().chain(when).collect();
            let when = (!all.is_empty()).then(|| all.join(" && "));
            sockets.push((name, only(when.as_deref(), entry)));
        }
        if let Some(open) = model.ports(service) {
            ports.push(match condition {
                Some(condition) => {
                    format!("lib.optionals ({condition}) ({})", names.numbers(&open))
                }
                None => names.numbers(&open).to_string(),
            });
        }
    }
    let mut config = String::from("{ ");
    for (name, entries) in sets.into_iter().filter(|(_, entries)| !entries.is_empty()) {
        config.push_str(&format!("systemd.{name} = {}; ", Value::attrs(entries)));
    }
    if !sockets.is_empty() {
        config.push_str(&format!("systemd.sockets = {}; ", Value::attrs(sockets)));
    }
    if !ports.is_empty() {
        let ports = match ports.as_slice() {
            [only] if only.starts_with('[') => only.clone(),
            several => format!("({})", several.join(" ++ ")),
        };
        config.push_str(&format!(
            "networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall {ports}; "
        ));
    }
    config.push('}');
    Ok(module(&declared, "cfg.enable", &Value::code(config)))
}

/// A program that is not ours says neither that it is ready nor that it has reloaded.
fn speak_plainly(entry: &mut Value, unit: &str) {
    let Value::Attrs(attrs) = entry else { return };
    let Some((_, Value::Attrs(settings))) =
        attrs.iter_mut().find(|(key, _)| key == "serviceConfig")
    else {
        return;
    };
    if let Some((_, kind)) = settings.iter_mut().find(|(key, _)| key == "Type") {
        let package = format!("cfg.{}.package", Key(unit));
        *kind =
            Value::code(format!("if {package}.notifiesReload or false then {kind} else \"exec\""));
    }
}
