//! The modules: one file for what all share, and one for each unit.
//!
//! In: the model, as it is for specifications that differ in what a module leaves open, and the schema
//! of `mail.toml`. Out: the files of `modules/`. A unit that is new in the model gets a file without
//! a change here.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_services::{
    Appliance, Reach, RenderError, Service, SlotSizes, TargetFacts, appliance,
};
use mailkiln_spec::Spec;

use crate::options::options;
use crate::source::{BadNix, Source};
use crate::units::{DOMAIN, HOST, Names, Variants, entry, secrets};
use crate::value::{Key, Value};

const ORIGIN: &str = "modules` from the service model; a change here is lost.";
const PROGRAMS: &str = "/usr/bin/mailkiln-";

/// Tables of `mail.toml` that a host has options of its own for.
pub(crate) const HOSTS_OWN: [&str; 4] = ["acme", "build", "network", "ssh"];
/// A service that a host does without: its consoles are its own, and `mailkiln-agent status` says the same.
const CONSOLE: &str = "mailkiln-console";
/// Units whose program is not ours by default: the package in nixpkgs that has the same interface.
const FOREIGN: [(&str, &str); 1] = [("mail-server", "stalwart")];

/// Tables that may be left out, and what a service has more when they are there.
const OPTIONAL: [(&str, &str); 1] = [(
    "cfg.settings.relay != null && cfg.settings.relay.user != null",
    "[relay]\nhost = \"relay.invalid\"\nuser = \"user\"\n",
)];

/// Tables that turn services off, and when they are not turned off.
const SWITCHES: [(&str, &str); 1] = [(
    "cfg.settings.filter == null || cfg.settings.filter.enable != false",
    "[filter]\nenable = false\n",
)];

/// What no model says, because an image has no use for it, by path.
const WRITTEN: [(&str, &str); 2] = [
    ("files.nix", include_str!("../written/files.nix")),
    ("certificates.nix", include_str!("../written/certificates.nix")),
];

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

/// The model as modules need it.
struct Model {
    plain: Appliance,
    optional: Vec<(&'static str, Appliance)>,
    switched_off: Vec<(&'static str, Appliance)>,
}

/// The files of `modules/`, sorted by path.
///
/// # Errors
/// [`ModulesError`], which only a defect of ours causes.
pub fn modules() -> Result<Vec<Source>, ModulesError> {
    let model = Model::new()?;
    let schema = serde_json::from_str(&mailkiln_spec::json_schema())?;
    let names = Names::of(model.all_services());
    let mut sources = vec![
        Source::new("default.nix", ORIGIN, &imports(&model))?,
        Source::new("settings.nix", ORIGIN, &shared(&model, &schema))?,
    ];
    for (path, text) in WRITTEN {
        sources.push(Source::new(path, ORIGIN, &Value::code(text))?);
    }
    for unit in model.units() {
        let path = format!("{unit}.nix");
        sources.push(Source::new(&path, ORIGIN, &unit_module(&model, unit, &names)?)?);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

impl Model {
    fn new() -> Result<Self, ModulesError> {
        let plain = format!(
            "[host]\nname = \"{HOST}\"\n[[domain]]\nname = \"{DOMAIN}\"\n[[account]]\naddress = \"a@{DOMAIN}\"\n"
        );
        let build = |more: &str| {
            let spec = mailkiln_spec::parse(&format!("{plain}{more}"));
            let spec = spec.map_err(|errors| ModulesError::Spec(format!("{errors:?}")))?;
            Ok::<_, ModulesError>(on_a_host(&spec, ""))
        };
        let optional = OPTIONAL.iter().map(|(condition, table)| Ok((*condition, build(table)?)));
        let switched = SWITCHES.iter().map(|(condition, table)| Ok((*condition, build(table)?)));
        Ok(Self {
            plain: build("")?,
            optional: optional.collect::<Result<_, ModulesError>>()?,
            switched_off: switched.collect::<Result<_, ModulesError>>()?,
        })
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        self.plain.services.iter().filter(|service| service.name != CONSOLE)
    }

    fn all_services(&self) -> impl Iterator<Item = &Service> {
        let optional = self.optional.iter().flat_map(|(_, appliance)| &appliance.services);
        self.services().chain(optional)
    }

    /// The units in the order of their names: `agent`, `mail-server`.
    fn units(&self) -> BTreeSet<&str> {
        self.services().filter_map(unit_of).collect()
    }

    /// When the service is there, if that can be chosen.
    fn condition(&self, service: &Service) -> Option<&'static str> {
        let gone =
            |appliance: &Appliance| appliance.services.iter().all(|it| it.name != service.name);
        self.switched_off
            .iter()
            .find(|(_, appliance)| gone(appliance))
            .map(|(condition, _)| *condition)
    }

    fn variants<'a>(&'a self, plain: &'a Service) -> Variants<'a> {
        let same =
            |appliance: &'a Appliance| appliance.services.iter().find(|it| it.name == plain.name);
        let with = self.optional.iter();
        let with = with.filter_map(|(condition, appliance)| Some((*condition, same(appliance)?)));
        Variants { plain, with: with.collect() }
    }
}

/// What runs on a NixOS host for `spec`, with the spam filter's rules. Consoles, disk and watchdog are
/// the host's own, and so are its certificates: `security.acme` gets them, by `useACMEHost`.
pub fn on_a_host(spec: &Spec, spam_rules: &str) -> Appliance {
    let target = TargetFacts {
        consoles: Vec::new(),
        slots: SlotSizes { root: 0, verity: 0 },
        watchdog: None,
        worn_by_writes: false,
        wireless: false,
    };
    appliance(&Spec { acme: None, ..spec.clone() }, &target, spam_rules)
}

/// `/usr/bin/mailkiln-agent` is of the unit `agent`.
fn unit_of(service: &Service) -> Option<&str> {
    service.program.strip_prefix(PROGRAMS)
}

fn module(options: &Value, condition: &str, config: &Value) -> Value {
    Value::code(format!(
        "{{ config, lib, pkgs, ... }}: let cfg = config.services.mailkiln; in \
         {{ options.services.mailkiln = {options}; config = lib.mkIf {condition} {config}; }}"
    ))
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
    let mut declared = vec![
        (
            "enable",
            Value::code(
                "lib.mkEnableOption \"the mail server of Mailkiln with all that belongs to it\"",
            ),
        ),
        ("package", Value::code("lib.mkPackageOption pkgs \"mailkiln\" { }")),
        (
            "openFirewall",
            flag(false, "Whether to open the ports of the mail server in the firewall."),
        ),
        ("settings", options(schema, &HOSTS_OWN)),
        ("secrets", secret_options(model)),
    ];
    declared.retain(|(_, value)| *value != Value::Attrs(Vec::new()));
    let files: BTreeSet<&str> = model
        .services()
        .flat_map(|service| &service.config_files)
        .filter_map(|file| file.path.strip_prefix("/etc/"))
        .collect();
    let etc = files.into_iter().map(|path| {
        let source = Value::code(format!("\"${{cfg.files}}/etc/{path}\""));
        (path, Value::attrs([("source", source)]))
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

/// Options for what people bring, as files that are not in the store.
fn secret_options(model: &Model) -> Value {
    Value::attrs(secrets(model.all_services()).into_iter().map(|(name, source)| {
        let description = format!(
            "File that holds the secret `{name}`, read by systemd as root and handed to its service alone. \
             Made for sops-nix and agenix: never a path of the store."
        );
        let value = option(vec![
            ("type", Value::code("lib.types.externalPath")),
            ("default", Value::text(source)),
            ("example", Value::text(format!("/run/secrets/{name}"))),
            ("description", Value::Prose(description)),
        ]);
        (name, value)
    }))
}

fn users(model: &Model) -> Value {
    let user = |user: &mailkiln_services::User| {
        let attrs = [
            ("isSystemUser", Value::Bool(true)),
            ("group", Value::text(user.name)),
            ("description", Value::text(user.purpose)),
        ];
        (user.name, Value::attrs(attrs))
    };
    let users = &model.plain.users;
    Value::attrs([
        ("users", Value::attrs(users.iter().map(user))),
        ("groups", Value::attrs(users.iter().map(|user| (user.name, Value::attrs::<&str>([]))))),
    ])
}

/// Directories that services share. Those of a service alone are its `StateDirectory`.
fn directories(model: &Model) -> Value {
    let own: BTreeMap<&str, u32> =
        model.plain.users.iter().map(|user| (user.name, user.id)).collect();
    let shared = model.plain.directories.iter().filter(|it| own.contains_key(it.owner.name));
    Value::attrs(shared.map(|directory| {
        let rule = Value::attrs([
            ("mode", Value::text(format!("{:04o}", directory.mode))),
            ("user", Value::text(directory.owner.name)),
            ("group", Value::text(directory.owner.name)),
        ]);
        (directory.path, Value::attrs([("d", rule)]))
    }))
}

/// The module of one unit.
fn unit_module(model: &Model, unit: &str, names: &Names) -> Result<Value, ModulesError> {
    let of_unit = || model.services().filter(|service| unit_of(service) == Some(unit));
    let foreign = FOREIGN.iter().find(|(name, _)| *name == unit).map(|(_, package)| *package);
    let own = format!("mailkiln-{unit}");
    let package = foreign.unwrap_or(&own);
    let declared = Value::attrs([(
        unit,
        Value::attrs([(
            "package",
            Value::code(format!("lib.mkPackageOption pkgs {} {{ }}", Value::text(package))),
        )]),
    )]);
    let mut services = Vec::new();
    for service in of_unit() {
        let mut entry = entry(&model.variants(service), names)?;
        if foreign.is_some() {
            speak_plainly(&mut entry, unit);
        }
        services.push((
            service.name,
            match model.condition(service) {
                Some(condition) => Value::code(format!("lib.mkIf ({condition}) {entry}")),
                None => entry,
            },
        ));
    }
    let ports: BTreeSet<i64> = of_unit()
        .flat_map(|service| &service.ports)
        .filter(|port| port.reach == Reach::Public)
        .map(|port| i64::from(port.number))
        .collect();
    let mut config = format!("{{ systemd.services = {};", Value::attrs(services));
    if !ports.is_empty() {
        let ports = Value::List(ports.into_iter().map(Value::Int).collect());
        config.push_str(&format!(
            " networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall {ports};"
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
        let own = Value::text(format!("mailkiln-{unit}"));
        let package = format!("lib.getName cfg.{}.package", Key(unit));
        *kind = Value::code(format!("if {package} == {own} then {kind} else \"exec\""));
    }
}
