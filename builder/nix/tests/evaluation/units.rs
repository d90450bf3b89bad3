//! What Nix evaluates is what an image has, but for the places of programs.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_nix::{Value, on_a_host};
use mailkiln_services::{Appliance, Reach, Service};
use serde_json::{Value as Json, json};

use super::Nix;
use super::specs::{FULL, PLAIN, all};

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
        format!("{}.{}={value}", it.section, it.key)
    };
    directives.into_iter().map(line).collect()
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
            "unitConfig" | "serviceConfig" | "timerConfig" | "pathConfig" => {
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

/// What is asked of an evaluated host. The mail server is our own build, which an image has.
const OWN: &str =
    "({ pkgs, ... }: { services.mailkiln.mail-server.package = pkgs.mailkiln-mail-server; })";
const WANTED: &str = "{ inherit (config.systemd) services timers paths; inherit (config) users; \
                      inherit (config.networking.firewall) allowedTCPPorts; etc = config.environment.etc; \
                      tmpfiles = config.systemd.tmpfiles.settings.mailkiln; }";

/// The services of an image that a host has too.
pub(crate) fn services_of(image: &Appliance) -> Vec<&Service> {
    image.services.iter().filter(|service| service.name != "mailkiln-console").collect()
}

/// The unit of NixOS that a module says something about.
const OF_NIXOS: &str = "clamav-daemon";

/// All units that Nix evaluates, by the names of their files.
pub(crate) fn units_of(found: &Json) -> BTreeMap<String, Lines> {
    let mut units = BTreeMap::new();
    for (set, kind) in [("services", "service"), ("timers", "timer"), ("paths", "path")] {
        for (name, unit) in found[set].as_object().unwrap() {
            if name == OF_NIXOS {
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
        let found = units_of(&nix.host(&text, OWN, WANTED).unwrap());
        let image = on_a_host(&mailkiln_spec::parse(&text).unwrap(), "");
        let mut expected = BTreeMap::new();
        for service in services_of(&image) {
            let own = (service.unit(), service.directives().unwrap());
            for (name, lines) in service.trigger_directives().unwrap().into_iter().chain([own]) {
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
        let found = nix.host(&text, OWN, WANTED).unwrap();
        let image = on_a_host(&mailkiln_spec::parse(&text).unwrap(), "");
        let users: BTreeSet<&str> = image.users.iter().map(|user| user.name).collect();
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
        assert_eq!(found["tmpfiles"]["/var/lib/acme"]["d"]["mode"], "2770");
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
        let (json, _) = json.split_once(" --output").unwrap();
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
    let image = on_a_host(&of("1 GiB").unwrap(), "");
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

#[test]
fn a_foreign_mail_server_is_not_waited_for() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_toml(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
    let config = nix
        .configuration(&settings, "", "config.systemd.services.mail-server.serviceConfig")
        .unwrap();
    assert_eq!(config["Type"], "exec");
    assert_eq!(
        config["ExecStart"],
        "/nix/store/stalwart/bin/stalwart --config /etc/mailkiln/mail-server.toml"
    );
}

#[test]
fn what_contradicts_itself_is_reported() {
    let Some(nix) = Nix::here() else { return };
    let good = "host.name = \"mail.example.org\"; domain = [ { name = \"example.org\"; } ]; \
                account = [ { address = \"a@example.org\"; } ];";
    let units = "config.systemd.services";
    for (settings, more, words) in [
        (
            format!("{good} host.nmae = 1;"),
            "",
            "option `services.mailkiln.settings.host.nmae' does not exist",
        ),
        (
            format!("{good} relay.host = 1;"),
            "",
            "`services.mailkiln.settings.relay.host' is not of type `string'",
        ),
        (format!("{good} relay = {{ host = \"x\"; tls = \"on\"; }};"), "", "one of"),
        (
            good.replace("example.org\"; } ]; a", "Example.org\"; } ]; a"),
            "",
            "services.mailkiln.domainNames",
        ),
        (good.replace("[ { name = \"example.org\"; } ]", "[ ]"), "", "name at least one domain"),
        (
            good.replace("[ { address = \"a@example.org\"; } ]", "[ ]"),
            "",
            "needs at least one account",
        ),
        (good.replace("domain =", "domains ="), "", "does not exist"),
        (good.to_owned(), "{ services.stalwart.enable = true; }", "would listen on the same ports"),
        (
            format!("{good} acme.enable = false;"),
            "",
            "option `services.mailkiln.settings.acme.enable' does not exist",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.acme = \"lego\"; }",
            "`services.mailkiln.acme' is not of type",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln = { acme = \"mailkiln\"; useACMEHost = \"example.org\"; }; }",
            "choose one that gets the certificate",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.acme = \"mailkiln\"; security.acme.certs.\"mail.example.org\" = { }; }",
            "would write the same files",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.secrets.adminPasswordFile = \"/nix/store/x\"; }",
            "not of type `null or path not in the store'",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.secrets.accounts.\"b@example.org\".passwordFile = \"/x\"; }",
            "no account or domain of the settings is called b@example.org",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.secrets.dkim.\"example.net\".rsaKeyFile = \"/x\"; }",
            "is called example.net",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.secrets.relayPasswordFile = \"/x\"; }",
            "names no user",
        ),
    ] {
        let error = nix.configuration(&format!("{{ {settings} }}"), more, units).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
    let fine = nix.configuration(&format!("{{ {good} }}"), "", units);
    assert!(fine.is_ok(), "{fine:?}");
}

#[test]
fn what_may_be_an_oversight_is_warned_of() {
    let Some(nix) = Nix::here() else { return };
    let off = format!("{PLAIN}[acme]\nenable = false\n");
    let nginx = "{ services.nginx.enable = true; }";
    let closed = "({ lib, ... }: { services.mailkiln.openFirewall = lib.mkForce false; })";
    for (text, more, words) in [
        (PLAIN, "", None),
        (&off, "", Some("nobody gets a certificate")),
        (
            &off,
            "{ services.mailkiln.useACMEHost = \"x\"; security.acme.certs.x = { group = \"acme\"; directory = \"/x\"; }; }",
            None,
        ),
        (PLAIN, nginx, Some("nginx is enabled")),
        (FULL, nginx, None),
        (PLAIN, closed, Some("can't reach this one")),
    ] {
        let found = nix.host(text, more, "config.warnings").unwrap();
        let warnings: Vec<&str> =
            found.as_array().unwrap().iter().filter_map(Json::as_str).collect();
        let expected = words.is_none_or(|words| warnings.iter().any(|it| it.contains(words)));
        assert!(expected && warnings.len() == usize::from(words.is_some()), "{warnings:?}");
    }
}

#[test]
fn a_certificate_of_nixos_is_waited_for_and_read() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_toml(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
    let more = "{ services.mailkiln.useACMEHost = \"example.org\"; security.acme.certs.\"example.org\" = \
                { group = \"certs\"; directory = \"/var/lib/acme/example.org\"; }; }";
    let wanted = "{ inherit (config.systemd.services.mail-server) after wants serviceConfig; \
                  prepare = config.systemd.services.mailkiln-prepare; \
                  tmpfiles = config.systemd.tmpfiles.settings.mailkiln.\"/var/lib/acme\".d.mode; \
                  inherit (config.systemd.tmpfiles.settings) mailkiln-certificate; certs = config.security.acme.certs; }";
    let found = nix.configuration(&settings, more, wanted).unwrap();
    let unit = Json::from("acme-example.org.service");
    assert!(found["prepare"]["after"].as_array().unwrap().contains(&unit));
    assert_eq!(found["tmpfiles"], "2775");
    assert!(found["after"].as_array().unwrap().contains(&unit));
    assert!(found["wants"].as_array().unwrap().contains(&unit));
    assert!(
        found["serviceConfig"]["SupplementaryGroups"].as_array().unwrap().contains(&"certs".into())
    );
    assert_eq!(found["certs"]["example.org"]["reloadServices"][0], "mail-server.service");
    let link = &found["mailkiln-certificate"]["/var/lib/acme/mail.example.org"]["L+"]["argument"];
    assert_eq!(*link, "/var/lib/acme/example.org");
}

#[test]
fn secrets_are_handed_over_by_systemd() {
    let Some(nix) = Nix::here() else { return };
    let secrets = r#"{ services.mailkiln.secrets = {
        adminPasswordFile = "/run/secrets/admin";
        accounts."o'hara@example.org".passwordFile = "/run/secrets/o";
        dkim."example.org.au".ed25519KeyFile = "/run/secrets/d";
        relayPasswordFile = "/run/secrets/r";
        acmeDnsKeyFile = "/run/secrets/t";
        seedFile = "/run/secrets/s";
    }; }"#;
    let wanted = "{ inherit (config.systemd.services) mailkiln-prepare mailkiln-provision; }";
    let found = nix.host(FULL, secrets, wanted).unwrap();
    let credentials = |unit: &str| found[unit]["serviceConfig"]["LoadCredential"].clone();
    let prepare = [
        "dkim-ed25519-example.org.au.pem:/run/secrets/d",
        "relay-password:/run/secrets/r",
        "acme-dns-key:/run/secrets/t",
        "seed:/run/secrets/s",
    ];
    let handed: BTreeSet<String> = serde_json::from_value(credentials("mailkiln-prepare")).unwrap();
    assert_eq!(handed, prepare.map(str::to_owned).into());
    assert_eq!(
        credentials("mailkiln-provision"),
        json!(["account-password-0:/run/secrets/o", "admin-password:/run/secrets/admin"])
    );
}
