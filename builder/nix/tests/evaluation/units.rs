//! What Nix evaluates is what an image has, but for the places of programs.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_nix::{Value, drop_ins, on_a_host};
use mailkiln_services::{Appliance, HostFacts, Reach, Service};
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
    match name {
        "mail-server" => "mailkiln-mail-server",
        "mail-filter" => "mailkiln-filter",
        other => other,
    }
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

/// What is asked of an evaluated host.
const WANTED: &str = "{ inherit (config.systemd) services timers paths; inherit (config) users; \
                      inherit (config.networking.firewall) allowedTCPPorts; etc = config.environment.etc; \
                      tmpfiles = config.systemd.tmpfiles.settings.mailkiln; }";

/// The services of an image that a host has too.
pub(crate) fn services_of(image: &Appliance) -> Vec<&Service> {
    image.services.iter().filter(|service| service.name != "mailkiln-console").collect()
}

/// The unit of NixOS that a module says something about.
const OF_NIXOS: &str = "clamav-daemon";
/// The unit that an image has no use for: there no stranger is on loopback.
const HOST_ONLY: &str = "mailkiln-loopback";

/// All units that Nix evaluates, by the names of their files.
pub(crate) fn units_of(found: &Json) -> BTreeMap<String, Lines> {
    let mut units = BTreeMap::new();
    for (set, kind) in [("services", "service"), ("timers", "timer"), ("paths", "path")] {
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
        let found = nix.host(&text, "", WANTED).unwrap();
        let image = on_a_host(&mailkiln_spec::parse(&text).unwrap(), &HostFacts::default(), "");
        let filters = image.services.iter().any(|it| it.name == "mailkiln-filter");
        let users = image.users.iter().filter(|user| filters || user.name != "mail-filter");
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

#[test]
fn a_foreign_mail_server_is_not_waited_for() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_toml(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
    let config = nix
        .configuration(
            &settings,
            "({ pkgs, ... }: { services.mailkiln.mail-server.package = pkgs.stalwart_0_15; })",
            "config.systemd.services.mail-server.serviceConfig",
        )
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
            "choose one that looks after the certificate",
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
        (
            format!("{good} relay = {{ host = \"x\"; port = 70000; }};"),
            "",
            "16 bit unsigned integer",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.useACMEHost = \"example.org\"; security.acme.certs.\"www.example.net\" = { }; }",
            "nobody declares security.acme.certs.\"example.org\"; there is www.example.net",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.useACMEHost = \"w\"; security.acme.certs.w = { webroot = \"/w\"; domain = \"*.a.example.org\"; \
             extraDomainNames = [ \"example.org\" ]; }; }",
            "is for *.a.example.org example.org, not for mail.example.org",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.useACMEHost = \"x\"; security.acme.certs.x = { webroot = \"/w\"; domain = \"mail.example.org\"; \
             directory = \"/x\"; group = \"g\"; }; services.mailkiln.acme = \"mailkiln\"; }",
            "choose one that looks after",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.secrets.accounts.\"A@example.org\" = { passwordFile = \"/x\"; hashedPasswordFile = \"/y\"; }; }",
            "both set for a@example.org",
        ),
        (good.to_owned(), "{ services.postfix.enable = true; }", "services.postfix would listen"),
        (good.to_owned(), "{ services.dovecot2.enable = true; }", "services.dovecot2 would listen"),
        (
            good.to_owned(),
            "{ services.calibre-web = { enable = true; listen.port = 8080; }; }",
            "ports.api is 8080, which services.calibre-web.listen.port has",
        ),
        (
            good.to_owned(),
            "{ services.nginx = { enable = true; virtualHosts.app.listen = [ { port = 10026; } ]; }; }",
            "ports.release is 10026, which services.nginx.virtualHosts.\"app\".listen has",
        ),
        (good.to_owned(), "{ services.mailkiln.ports.api = 10025; }", "a port of its own"),
        (good.to_owned(), "{ services.mailkiln.ports.api = 70000; }", "16 bit unsigned integer"),
        (
            good.to_owned(),
            "{ services.mailkiln.resolver = \"resolved\"; }",
            "nobody listens on 127.0.0.54",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.resolver = \"resolved\"; services.resolved = { enable = true; \
             settings.Resolve.DNSStubListener = false; }; }",
            "nobody listens on 127.0.0.54",
        ),
        (
            good.to_owned(),
            "({ pkgs, ... }: { services.mailkiln.mail-server.package = pkgs.stalwart_0_16; })",
            "stalwart 0.16.11, which reads no",
        ),
        (
            good.to_owned(),
            "{ services.mailkiln.webServer = \"caddy\"; }",
            "webServer is caddy, which is not enabled",
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
            "{ services.mailkiln.useACMEHost = \"x\"; security.acme.certs.x = { webroot = \"/w\"; group = \"acme\"; directory = \"/x\"; \
             domain = \"MAIL.example.org\"; }; }",
            None,
        ),
        (
            &off,
            "{ services.mailkiln.certificate = { chainFile = \"/x\"; keyFile = \"/y\"; }; }",
            None,
        ),
        (PLAIN, nginx, Some("where nginx may listen")),
        (PLAIN, "{ services.caddy.enable = true; }", Some("where caddy may listen")),
        (PLAIN, "{ services.caddy.enable = true; services.mailkiln.webServer = \"caddy\"; }", None),
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
fn a_certificate_of_nixos_is_waited_for_and_read_where_it_is() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_toml(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
    let more = "{ services.mailkiln.useACMEHost = \"wild\"; security.acme.certs.wild = \
                { webroot = \"/w\"; domain = \"*.example.org\"; group = \"certs\"; directory = \"/var/lib/acme/wild\"; }; }";
    let wanted = "{ inherit (config.systemd.services.mail-server) after wants serviceConfig; \
                  prepare = config.systemd.services.mailkiln-prepare; \
                  tmpfiles = config.systemd.tmpfiles.settings; \
                  inherit (config.services.mailkiln.files) script; certs = config.security.acme.certs; }";
    let found = nix.configuration(&settings, more, wanted).unwrap();
    let unit = Json::from("acme-wild.service");
    assert!(found["prepare"]["after"].as_array().unwrap().contains(&unit));
    assert!(found["after"].as_array().unwrap().contains(&unit));
    assert!(found["wants"].as_array().unwrap().contains(&unit));
    for groups in [&found["serviceConfig"], &found["prepare"]["serviceConfig"]] {
        assert!(groups["SupplementaryGroups"].as_array().unwrap().contains(&"certs".into()));
    }
    assert_eq!(found["certs"]["wild"]["reloadServices"][0], "mail-server.service");
    let script = found["script"].as_str().unwrap();
    for argument in [
        "--certificate=/var/lib/acme/wild/fullchain.pem",
        "--certificate-key=/var/lib/acme/wild/key.pem",
        "--certificate-name=*.example.org",
    ] {
        assert!(script.contains(argument), "{script}");
    }
    // Nothing is made, linked or given away in security.acme's own folder.
    assert!(!found["tmpfiles"].to_string().contains("/var/lib/acme"), "{}", found["tmpfiles"]);
}

#[test]
fn the_host_decides_about_ports_resolver_and_ipv6() {
    let Some(nix) = Nix::here() else { return };
    let script = |more: &str| {
        let found = nix.host(PLAIN, more, "config.services.mailkiln.files.script").unwrap();
        found.as_str().unwrap().to_owned()
    };
    for (more, words) in [
        ("", "--api-port=8080 --filter-port=10025 --release-port=10026 --resolver=host"),
        ("{ services.resolved.enable = true; }", "--resolver=resolved"),
        (
            "{ services.resolved = { enable = true; settings.Resolve.DNSStubListener = \"no\"; }; }",
            "--resolver=host",
        ),
        ("{ services.mailkiln.resolver = [ \"127.0.0.1\" \"::1\" ]; }", "--resolver=127.0.0.1,::1"),
        ("{ services.mailkiln.ports.api = 18080; }", "--api-port=18080"),
        ("{ networking.enableIPv6 = false; }", r#""network":{"ipv6":false}"#),
    ] {
        let script = script(more);
        assert!(script.contains(words), "{words}: {script}");
    }
    assert_eq!(nix.host(PLAIN, "", "config.services.resolved.enable").unwrap(), false);
}

#[test]
fn one_more_account_restarts_what_makes_accounts_and_nothing_else() {
    let Some(nix) = Nix::here() else { return };
    let triggers = |more: &str| {
        let wanted = "builtins.mapAttrs (_: unit: unit.restartTriggers or [ ]) config.systemd.services // \
                      { script = config.services.mailkiln.files.script; }";
        nix.host(PLAIN, more, wanted).unwrap()
    };
    let plain = triggers("");
    let account =
        "{ services.mailkiln.settings.account = [ { address = \"carol@example.org\"; } ]; }";
    let (more, changed) = (triggers(account), triggers("{ services.mailkiln.ports.api = 18080; }"));
    assert_ne!(plain["script"], more["script"]);
    for (name, before) in plain.as_object().unwrap().iter().filter(|(name, _)| *name != "script") {
        assert_eq!(*before, more[name], "{name}");
        if !["mailkiln-provision", HOST_ONLY].contains(&name.as_str())
            && before.as_array().is_some_and(|it| !it.is_empty())
        {
            assert_ne!(*before, changed[name], "{name}");
        }
    }
    // That service reads the built files themselves.
    assert!(plain["mailkiln-provision"][0].as_str().unwrap().contains("mailkiln-files"));
    // And no other one reads what an account changes.
    let with = format!("{PLAIN}[[account]]\naddress = 'carol@example.org'\nquota = '1 GiB'\n");
    let files = |text: &str| {
        let image = on_a_host(&mailkiln_spec::parse(text).unwrap(), &HostFacts::default(), "");
        let files = image.services.into_iter().flat_map(|service| service.config_files);
        files.map(|file| (file.path.to_owned(), file.contents)).collect::<BTreeMap<_, _>>()
    };
    let (one, two) = (files(PLAIN), files(&with));
    let differing: Vec<_> = one.keys().filter(|path| one[*path] != two[*path]).collect();
    assert_eq!(differing, ["/etc/mailkiln/appliance.json"]);
}

#[test]
fn a_web_server_of_the_host_serves_the_proofs() {
    let Some(nix) = Nix::here() else { return };
    let nginx = "{ services.nginx.enable = true; services.mailkiln.webServer = \"nginx\"; }";
    let found = nix.host(PLAIN, nginx, "config.services.nginx.virtualHosts").unwrap();
    let place = &found["mail.example.org"]["locations"]["/.well-known/acme-challenge/"];
    assert_eq!(place["alias"], "/var/lib/mailkiln-acme/challenges/");
    let caddy = "{ services.caddy.enable = true; services.mailkiln.webServer = \"caddy\"; }";
    let found = nix.host(PLAIN, caddy, "config.services.caddy.virtualHosts").unwrap();
    let text = found["http://mta-sts.example.org"]["extraConfig"].as_str().unwrap();
    assert!(text.contains("root * /var/lib/mailkiln-acme/challenges"), "{text}");
}

#[test]
fn secrets_are_handed_over_by_systemd() {
    let Some(nix) = Nix::here() else { return };
    let secrets = r#"{ services.mailkiln.secrets = {
        adminPasswordFile = "/run/secrets/admin";
        accounts."o'hara@example.org".passwordFile = "/run/secrets/o";
        dkim."EXAMPLE.org.au".ed25519KeyFile = "/run/secrets/d";
        adminHashedPasswordFile = null;
        relayPasswordFile = "/run/secrets/r";
        acmeDnsKeyFile = "/run/secrets/t";
        seedFile = "/run/secrets/s";
    }; }"#;
    let wanted = "{ inherit (config.systemd.services) mailkiln-prepare mailkiln-provision; }";
    let found = nix.host(FULL, secrets, wanted).unwrap();
    let credentials = |unit: &str| found[unit]["serviceConfig"]["LoadCredential"].clone();
    let prepare = [
        "dkim-ed25519-1.pem:/run/secrets/d",
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
