//! The model as a module sees it: what is there, and under which conditions.
//!
//! In: [`mailkiln_services::Appliance`]s for specifications that differ in what a host may choose. Out:
//! services, ports and files, each with the Nix condition under which a host has it.

use std::collections::BTreeSet;

use mailkiln_services::{
    Appliance, Directory, HostFacts, Reach, Service, SlotSizes, Socket, TargetFacts, User,
    appliance,
};
use mailkiln_spec::Spec;
use mailkiln_unit::Extent;

use crate::ModulesError;
use crate::units::{CLAMD, DOMAIN, HOST, Values, Variants};

/// Tables that turn services off, and when they are not turned off.
const SWITCHES: [(&str, &str); 3] = [
    (
        "cfg.settings.filter == null || cfg.settings.filter.enable != false",
        "[filter]\nenable = false\n",
    ),
    ("cfg.acme.client == \"mailkiln\"", "[acme]\nenable = false\n"),
    ("cfg.settings.web == null || cfg.settings.web.enable != false", "[web]\nenable = false\n"),
];

/// Tables that bring something more or something else, and when they are there. Where the condition of
/// one begins with another's, it is only compared with that one.
fn optional() -> [(&'static str, String); 11] {
    let dns = "[acme]\nchallenge = \"dns-01\"\ndns_provider";
    [
        (
            "cfg.settings.relay != null && cfg.settings.relay.user != null",
            "[relay]\nhost = \"relay.invalid\"\nuser = \"user\"\n".to_owned(),
        ),
        (
            "cfg.settings.filter != null && cfg.settings.filter.enable != false && cfg.settings.filter.rules_url != null",
            format!(
                "[filter]\nrules_url = \"https://rules.invalid/r\"\nrules_key = \"{}=\"\n",
                "A".repeat(43)
            ),
        ),
        (
            "cfg.settings.filter != null && cfg.settings.filter.clamav == true",
            "[filter]\nclamav = true\n".to_owned(),
        ),
        (
            "cfg.settings.filter != null && cfg.settings.filter.clamd != null",
            format!("[filter]\nclamd = \"{CLAMD}:3310\"\n"),
        ),
        (
            "cfg.settings.acme != null && cfg.settings.acme.eab_key_id != null",
            "[acme]\neab_key_id = \"id\"\n".to_owned(),
        ),
        (
            "cfg.settings.acme != null && cfg.settings.acme.roots != [ ]",
            "[acme]\nroots = [\"MIIA\"]\n".to_owned(),
        ),
        (
            "cfg.settings.acme != null && cfg.settings.acme.challenge == \"tls-alpn-01\"",
            "[acme]\nchallenge = \"tls-alpn-01\"\n[web]\nenable = false\n".to_owned(),
        ),
        (
            "cfg.settings.acme != null && cfg.settings.acme.challenge == \"dns-01\"",
            format!("{dns} = \"rfc2136\"\ndns_server = \"192.0.2.53\"\ndns_key_name = \"name\"\n"),
        ),
        (
            "cfg.settings.acme != null && cfg.settings.acme.challenge == \"dns-01\" && cfg.settings.acme.dns_provider == \"exec\"",
            format!("{dns} = \"exec\"\n"),
        ),
        (
            "cfg.settings.web != null && cfg.settings.web.behind_proxy == true",
            "[web]\nbehind_proxy = true\n".to_owned(),
        ),
        // Without the web unit the client answers http-01 itself.
        (
            "cfg.settings.web != null && cfg.settings.web.enable == false && \
             (cfg.settings.acme == null || cfg.settings.acme.challenge == null || cfg.settings.acme.challenge == \"http-01\")",
            "[web]\nenable = false\n".to_owned(),
        ),
    ]
}

/// The model as modules need it.
pub(crate) struct Model {
    plain: Appliance,
    optional: Vec<(&'static str, Appliance)>,
    switched_off: Vec<(&'static str, Appliance)>,
}

impl Model {
    pub(crate) fn new() -> Result<Self, ModulesError> {
        let plain = format!(
            "[host]\nname = \"{HOST}\"\n[[domain]]\nname = \"{DOMAIN}\"\n[[account]]\naddress = \"a@{DOMAIN}\"\n"
        );
        let build = |more: &str| {
            let spec = mailkiln_spec::parse(&format!("{plain}{more}"));
            let spec = spec.map_err(|errors| ModulesError::Spec(format!("{errors:?}")))?;
            Ok::<_, ModulesError>(on_a_host(&spec, &HostFacts::default(), ""))
        };
        let all = |tables: Vec<(&'static str, String)>| {
            let built = tables.into_iter().map(|(condition, it)| Ok((condition, build(&it)?)));
            built.collect::<Result<Vec<_>, ModulesError>>()
        };
        Ok(Self {
            plain: build("")?,
            optional: all(optional().to_vec())?,
            switched_off: all(SWITCHES.map(|(condition, it)| (condition, it.to_owned())).to_vec())?,
        })
    }

    /// All services, in the order of their start, then those that only a table brings.
    pub(crate) fn services(&self) -> Vec<&Service> {
        let optional = self.optional.iter().flat_map(|(_, appliance)| &appliance.services);
        let mut services: Vec<&Service> = Vec::new();
        for service in self.plain.services.iter().chain(optional) {
            if is_on_hosts(service) && services.iter().all(|it| it.name != service.name) {
                services.push(service);
            }
        }
        services
    }

    /// The units in the order of their names: `acme`, `agent`, `filter`, `mail-server`.
    pub(crate) fn units(&self) -> BTreeSet<&str> {
        self.services().into_iter().filter_map(unit_of).collect()
    }

    /// The services of a unit.
    pub(crate) fn of_unit(&self, unit: &str) -> Vec<&Service> {
        self.services().into_iter().filter(|service| unit_of(service) == Some(unit)).collect()
    }

    /// When the service is there, if that can be chosen.
    pub(crate) fn condition(&self, service: &Service) -> Option<&'static str> {
        let has =
            |appliance: &Appliance| appliance.services.iter().any(|it| it.name == service.name);
        let off = self.switched_off.iter().filter(|_| has(&self.plain));
        let off = off.filter(|(_, appliance)| !has(appliance));
        let on = self.optional.iter().filter(|(_, appliance)| !has(&self.plain) && has(appliance));
        off.chain(on).map(|(condition, _)| *condition).next()
    }

    /// The service as it is by default, and as conditions have it.
    pub(crate) fn variants<'a>(&'a self, service: &'a Service) -> Variants<'a> {
        let with = self.with(service).filter(|(_, other)| *other != service).collect();
        Variants { plain: service, with }
    }

    fn with<'a>(
        &'a self,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'static str, &'a Service)> {
        let own = self.condition(service);
        let others = self.optional.iter().filter(move |(condition, _)| Some(*condition) != own);
        others.filter_map(|(condition, appliance)| {
            let same = appliance.services.iter().find(|it| it.name == service.name)?;
            Some((*condition, same))
        })
    }

    /// The ports that the firewall opens for a service, if any.
    pub(crate) fn ports(&self, service: &Service) -> Option<Values> {
        let public = |service: &Service| -> Vec<String> {
            let ports = service.ports.iter().filter(|port| port.reach == Reach::Public);
            ports.map(|port| port.number.to_string()).collect()
        };
        let mut with: Vec<_> =
            self.with(service).map(|(condition, other)| (condition, public(other))).collect();
        with.retain(|(_, ports)| *ports != public(service));
        let none = public(service).is_empty() && with.is_empty();
        (!none).then(|| Values::of(public(service), with))
    }

    /// What systemd opens for a service, and under which condition of those that the service does not have itself.
    pub(crate) fn sockets<'a>(&'a self, service: &'a Service) -> Vec<(&'a Socket, Option<String>)> {
        let has = |service: &Service, socket: &Socket| service.sockets.contains(socket);
        let others: Vec<_> = self.with(service).collect();
        let own = service.sockets.iter().map(|socket| {
            let without = others.iter().filter(|(_, other)| !has(other, socket));
            let without: Vec<String> =
                without.map(|(condition, _)| format!("!({condition})")).collect();
            (socket, (!without.is_empty()).then(|| without.join(" && ")))
        });
        let more = others.iter().flat_map(|(condition, other)| {
            let more = other.sockets.iter().filter(|socket| !has(service, socket));
            more.map(|socket| (socket, Some((*condition).to_owned())))
        });
        own.chain(more).collect()
    }

    /// Below `/etc`: the configuration files, and when a host has them.
    pub(crate) fn files(&self) -> Vec<(String, Option<String>)> {
        let mut files: Vec<(String, Option<String>)> = Vec::new();
        for service in self.services() {
            let own = std::iter::once((None, service));
            let with = self.with(service).map(|(condition, it)| (Some(condition), it));
            for (condition, variant) in own.chain(with) {
                let both: Vec<&str> =
                    self.condition(service).into_iter().chain(condition).collect();
                let condition = match both.as_slice() {
                    [] => None,
                    [one] => Some((*one).to_owned()),
                    several => Some(format!("({})", several.join(") && ("))),
                };
                for file in &variant.config_files {
                    let path = file.path.trim_start_matches("/etc/").to_owned();
                    if files.iter().all(|(known, _)| *known != path) {
                        files.push((path, condition.clone()));
                    }
                }
            }
        }
        files.sort();
        files
    }

    /// When a host has the user: if one service alone runs as it, when that is there. The owner of a
    /// directory is always there.
    pub(crate) fn user_condition(&self, user: &User) -> Option<&'static str> {
        let owns = self.plain.directories.iter().any(|directory| directory.owner == *user);
        let mut services = self.plain.services.iter().filter(|it| it.user == Some(*user));
        match (owns, services.next()) {
            (false, Some(service)) => self.condition(service),
            _ => None,
        }
    }

    /// Users of the services.
    pub(crate) fn users(&self) -> &[User] {
        &self.plain.users
    }

    /// Directories that services share.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Directory> {
        let own = |name: &str| self.plain.users.iter().any(|user| user.name == name);
        self.plain.directories.iter().filter(move |it| own(it.owner.name))
    }
}

/// What runs on a NixOS host for `spec`, with the spam filter's rules. Consoles, disk and watchdog are
/// the host's own, and so is the base.
pub fn on_a_host(spec: &Spec, facts: &HostFacts, spam_rules: &str) -> Appliance {
    let target = TargetFacts {
        consoles: Vec::new(),
        recorded_consoles: Vec::new(),
        password_page: false,
        slots: SlotSizes { root: 0, verity: 0 },
        watchdog: None,
        time_servers: Vec::new(),
        worn_by_writes: false,
        wireless: false,
        host: facts.clone(),
    };
    let mut host = appliance(spec, &target, spam_rules);
    // What an image has as its base, such as ClamAV, a host has from NixOS, with its users.
    let (base, services) = (&host.base, &host.services);
    let is_of = |services: &[Service], user| services.iter().any(|it| it.user == Some(user));
    host.users.retain(|user| !is_of(base, *user) || is_of(services, *user));
    host
}

/// The unit that declares a service.
fn unit_of(service: &Service) -> Option<&'static str> {
    mailkiln_unit::service(service.name).map(|(unit, _)| unit.name.as_str())
}

/// Whether a host has the service too: what only images have is the host's own there.
fn is_on_hosts(service: &Service) -> bool {
    let declared = mailkiln_unit::service(service.name);
    declared.is_none_or(|(_, declared)| declared.on == Extent::Everywhere)
}
