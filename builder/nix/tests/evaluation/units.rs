//! What Nix evaluates is what an image has, but for the places of programs.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_nix::{drop_ins, on_a_host};
use mailkiln_services::{Appliance, HostFacts, Reach, Service};
use serde_json::{Value as Json, json};

use super::Nix;
use super::specs::{PLAIN, all};

/// The settings of a unit, each as `Section.Key=value`.
pub(crate) type Lines = BTreeSet<String>;

fn of_the_image(service: &Service, directives: Vec<mailkiln_services::Directive>) -> Lines {
    let line = |it: mailkiln_services::Directive| {
        let program = it.value.replace("/usr/bin/mailkiln-", "/nix/store/mailkiln-");
        let program = program.replace("/usr/bin/systemctl", "/nix/store/systemd/bin/systemctl");
        let value = match service.program.strip_prefix("/usr/bin/") {
            Some(name) => program.replacen(
                &format!("/nix/store/{name} "),
                &format!("/nix/store/{name}/bin/{name} "),
                1,
            ),
            None => program,
        };
        let value = if it.value == "/usr" { "/nix/store".to_owned() } else { value };
        let value = match it.key.as_str() {
            "User" | "Group" => user_name(&value).to_owned(),
            _ => value,
        };
        format!("{}.{}={value}", it.section, it.key)
    };
    directives.into_iter().map(line).collect()
}

/// What a user of an image is called on a host.
fn user_name(name: &str) -> &str {
    let user = mailkiln_unit::user(name);
    user.and_then(|user| user.nixos_name.as_deref()).unwrap_or(name)
}

/// The settings of a unit as Nix evaluates them.
pub(crate) fn of_nix(unit: &Json) -> Lines {
    let mut lines = Lines::new();
    let mut add = |section: &str, key: &str, value: &Json| {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        lines.extend(values.iter().map(|value| format!("{section}.{key}={}", written(value))));
    };
    for (key, value) in unit.as_object().unwrap() {
        let words = || {
            Json::String(
                value.as_array().unwrap().iter().map(written).collect::<Vec<_>>().join(" "),
            )
        };
        match key.as_str() {
            "description" => add("Unit", "Description", value),
            "after" => add("Unit", "After", &words()),
            "before" => add("Unit", "Before", &words()),
            "requires" => add("Unit", "Requires", &words()),
            "wants" => add("Unit", "Wants", &words()),
            "startLimitIntervalSec" => add("Unit", "StartLimitIntervalSec", value),
            "wantedBy" => add("Install", "WantedBy", &words()),
            "restartTriggers" => {}
            "environment" => {
                for (name, value) in value.as_object().unwrap() {
                    let pair = format!("{name}={}", written(value));
                    add("Service", "Environment", &Json::String(pair));
                }
            }
            "unitConfig" | "serviceConfig" | "timerConfig" | "pathConfig" | "socketConfig" => {
                let section = section(key);
                let settings = value.as_object().unwrap();
                settings.iter().for_each(|(key, value)| add(section, key, value));
            }
            other => panic!("nobody compares {other}"),
        }
    }
    lines
}

fn section(set: &str) -> &'static str {
    match set {
        "unitConfig" => "Unit",
        "timerConfig" => "Timer",
        "pathConfig" => "Path",
        "socketConfig" => "Socket",
        _ => "Service",
    }
}

fn written(value: &Json) -> String {
    match value {
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is asked of an evaluated host.
const WANTED: &str = "{ inherit (config.systemd) services timers paths sockets; inherit (config) users; \
                      inherit (config.networking.firewall) allowedTCPPorts; etc = config.environment.etc; \
                      tmpfiles = config.systemd.tmpfiles.settings.mailkiln; }";

/// The services of an image that a host has too.
pub(crate) fn services_of(image: &Appliance) -> Vec<&Service> {
    image.services.iter().filter(|service| service.name != "mailkiln-console").collect()
}

/// The unit of NixOS that a module says something about.
const OF_NIXOS: &str = "clamav-daemon";
#[test]
fn ports_of_the_web_unit_are_closed_to_others() {
    let port = |name| mailkiln_unit::port(name).unwrap().number;
    let rule = format!("tcp dport {{ {}, {} }}", port("web-submissions"), port("web-imaps"));
    assert!(include_str!("../../../../modules/loopback.nix").contains(&rule), "{rule}");
}

/// The unit that an image has no use for: there no stranger is on loopback.
pub(crate) const HOST_ONLY: &str = "mailkiln-loopback";

/// All units that Nix evaluates, by the names of their files.
pub(crate) fn units_of(found: &Json) -> BTreeMap<String, Lines> {
    let mut units = BTreeMap::new();
    let sets =
        [("services", "service"), ("timers", "timer"), ("paths", "path"), ("sockets", "socket")];
    for (set, kind) in sets {
        for (name, unit) in found[set].as_object().unwrap() {
            if name == OF_NIXOS || name == HOST_ONLY {
                continue;
            }
            units.insert(format!("{name}.{kind}"), of_nix(unit));
        }
    }
    units
}

#[test]
fn units_are_those_of_an_image() {
    let Some(nix) = Nix::here() else { return };
    for text in all() {
        let mut found = units_of(&nix.host(&text, "", WANTED).unwrap());
        let spec = mailkiln_spec::parse(&text).unwrap();
        let image = on_a_host(&spec, &HostFacts::default(), "");
        // What is built with the files, and comes as drop-ins.
        for file in drop_ins(&spec).unwrap() {
            let (_, unit) = file.path.split_once("system/").unwrap();
            let (unit, _) = unit.split_once(".d/").unwrap();
            let lines = file.text.lines().filter(|line| *line != "[Service]");
            let lines = lines.map(|line| format!("Service.{line}"));
            found.get_mut(unit).unwrap().extend(lines);
        }
        let mut expected = BTreeMap::new();
        for service in services_of(&image) {
            let own = (service.unit(), service.directives().unwrap());
            let sockets = service.sockets.iter().map(|it| service.socket_directives(it).unwrap());
            let triggers = service.trigger_directives().unwrap().into_iter();
            for (name, lines) in triggers.chain(sockets).chain([own]) {
                expected.insert(name, of_the_image(service, lines));
            }
        }
        let names = |units: &BTreeMap<String, Lines>| units.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "{text}");
        for (name, lines) in &found {
            let differing: Vec<_> = lines.symmetric_difference(&expected[name]).collect();
            assert!(differing.is_empty(), "{name}: {differing:#?} for {text}");
        }
    }
}

#[test]
fn users_ports_and_files_are_those_of_an_image() {
    let Some(nix) = Nix::here() else { return };
    for text in all() {
        let found = nix.host(&text, "", WANTED).unwrap();
        let image = on_a_host(&mailkiln_spec::parse(&text).unwrap(), &HostFacts::default(), "");
        let filters = image.services.iter().any(|it| it.name == "mailkiln-filter");
        let serves = image.services.iter().any(|it| it.name == "mailkiln-web");
        let users = image.users.iter().filter(|user| filters || user.name != "mail-filter");
        let users = users.filter(|user| serves || user.name != "mailkiln-web");
        let users: BTreeSet<&str> = users.map(|user| user_name(user.name)).collect();
        let there: BTreeSet<&str> =
            found["users"]["users"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(there, users);
        let services = services_of(&image);
        let public = services.iter().flat_map(|service| &service.ports);
        let public = public.filter(|port| port.reach == Reach::Public);
        let public: BTreeSet<u64> = public.map(|port| u64::from(port.number)).collect();
        let ports = found["allowedTCPPorts"].as_array().unwrap();
        assert_eq!(
            ports.iter().filter_map(Json::as_u64).collect::<BTreeSet<_>>(),
            public,
            "{text}"
        );
        let files = services.iter().flat_map(|service| &service.config_files);
        let files: BTreeMap<String, Json> = files
            .map(|file| {
                let source = format!("/nix/store/mailkiln-files{}", file.path);
                (file.path.trim_start_matches("/etc/").to_owned(), json!({"source": source}))
            })
            .collect();
        assert_eq!(found["etc"], json!(files), "{text}");
        assert_eq!(found["tmpfiles"]["/var/lib/mailkiln-acme/live"]["d"]["mode"], "2770");
        assert!(found["tmpfiles"].get("/var/lib/acme").is_none(), "that is security.acme's");
    }
}

/// From them the host's files are made, by the program that makes an image's.
#[test]
fn settings_are_the_same_mail_toml_again() {
    let Some(nix) = Nix::here() else { return };
    for text in all() {
        let script = nix.host(&text, "", "config.services.mailkiln.files.script").unwrap();
        let script = script.as_str().unwrap();
        let (_, json) = script.split_once("--config ").unwrap();
        let (json, _) = json.split_once(" --api-port").unwrap();
        let settings: toml::Table = serde_json::from_str(json).unwrap();
        let again = mailkiln_spec::parse(&settings.to_string()).unwrap();
        assert_eq!(again, mailkiln_spec::parse(&text).unwrap(), "{json}");
    }
}

/// What NixOS adds by itself: places and users. And its scanner takes the largest message of any host.
#[test]
fn the_scanner_of_nixos_is_told_what_an_images_is_told() {
    let Some(nix) = Nix::here() else { return };
    let of = |size: &str| {
        let limit = format!("[mail]\nmax_message_size = '{size}'\n");
        mailkiln_spec::parse(&format!("{PLAIN}[filter]\nclamav = true\n{limit}"))
    };
    assert!(of("1025 MiB").is_err(), "there are larger messages than those of this test");
    let image = on_a_host(&of("1 GiB").unwrap(), &HostFacts::default(), "");
    let scanner = image.base.iter().find(|service| service.name == OF_NIXOS).unwrap();
    let told = scanner.config_files[0].contents.lines().filter(|line| !line.starts_with('#'));
    let own = ["LocalSocket ", "DatabaseDirectory ", "Foreground "];
    let told = told.filter(|line| !own.iter().any(|own| line.starts_with(own)));
    let told: BTreeSet<String> = told.map(str::to_owned).collect();

    let text = format!("{PLAIN}[filter]\nclamav = true\n");
    let wanted = "{ inherit (config.services.clamav) daemon updater; \
                  limit = config.systemd.services.clamav-daemon.serviceConfig; }";
    let found = nix.host(&text, "", wanted).unwrap();
    assert!(found["daemon"]["enable"] == true && found["updater"]["enable"] == true);
    let settings = found["daemon"]["settings"].as_object().unwrap();
    let settings = settings.iter().map(|(key, value)| format!("{key} {}", written(value)));
    assert_eq!(settings.collect::<BTreeSet<_>>(), told);
    let limit = scanner.directives().unwrap().into_iter().find(|it| it.key == "MemoryMax").unwrap();
    assert_eq!(found["limit"]["MemoryMax"], limit.value);

    let none = "{ inherit (config.services.clamav.daemon) enable; }";
    assert_eq!(nix.host(PLAIN, "", none).unwrap()["enable"], false);
    let disabled = "({ services.clamav.daemon.enable = false; })";
    let error = nix.host(&text, disabled, none).unwrap_err();
    assert!(error.contains("services.clamav.daemon that is asked"), "{error}");
}
