//! What Nix evaluates is what an image has, but for the places of programs.

use std::collections::BTreeSet;

use mailkiln_nix::{Value, on_a_host};
use mailkiln_services::{Reach, Service};
use serde_json::Value as Json;

use super::Nix;

const PLAIN: &str = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n\
                     [[account]]\naddress = 'alice@example.org'\n";
/// Everything said, with names that have tripped up others.
const FULL: &str = r#"
[host]
name = "mail.example.org"
timezone = "Europe/Berlin"
[[domain]]
name = "example.org"
catch_all = "o'hara@example.org"
[[domain]]
name = "example.org.au"
[[account]]
address = "o'hara@example.org"
name = "O'Hara ${the} ''boss'' \"\\"
aliases = ["info@example.org.au"]
quota = "5 GiB"
[relay]
host = "smtp.example.net"
user = 'CORP\tom'
[mail]
max_message_size = "100 MiB"
[spam]
junk_score = 4.5
dnsbl = ["dnsbl.example.net"]
"#;

/// The settings of a unit, each as `Section.Key=value`.
type Lines = BTreeSet<String>;

fn of_the_image(service: &Service) -> Lines {
    let line = |it: mailkiln_services::Directive| {
        let program = it.value.replace("/usr/bin/mailkiln-", "/nix/store/mailkiln-");
        let value = match service.program.strip_prefix("/usr/bin/") {
            Some(name) => program.replacen(
                &format!("/nix/store/{name}"),
                &format!("/nix/store/{name}/bin/{name}"),
                1,
            ),
            None => program,
        };
        let value = if it.value == "/usr" { "/nix/store".to_owned() } else { value };
        format!("{}.{}={value}", it.section, it.key)
    };
    service.directives().unwrap().into_iter().map(line).collect()
}

fn of_nix(unit: &Json) -> Lines {
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
            "unitConfig" | "serviceConfig" => {
                let section = if key == "unitConfig" { "Unit" } else { "Service" };
                let settings = value.as_object().unwrap();
                settings.iter().for_each(|(key, value)| add(section, key, value));
            }
            other => panic!("nobody compares {other}"),
        }
    }
    lines
}

fn written(value: &Json) -> String {
    match value {
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn units_users_and_ports_are_those_of_an_image() {
    let Some(nix) = Nix::here() else { return };
    let unfiltered = format!("{PLAIN}[filter]\nenable = false\n");
    for text in [PLAIN, FULL, &unfiltered] {
        let settings = Value::from_toml(&toml::from_str(text).unwrap()).unwrap().to_string();
        // Our own build of the mail server, which an image has.
        let own = "({ pkgs, ... }: { services.mailkiln.mail-server.package = pkgs.mailkiln-mail-server; })";
        let wanted = "{ inherit (config.systemd) services; inherit (config) users; \
                      inherit (config.networking.firewall) allowedTCPPorts; etc = config.environment.etc; \
                      tmpfiles = config.systemd.tmpfiles.settings.mailkiln; }";
        let found = nix.configuration(&settings, own, wanted).unwrap();
        let image = on_a_host(&mailkiln_spec::parse(text).unwrap(), "");
        let expected: Vec<&Service> =
            image.services.iter().filter(|service| service.name != "mailkiln-console").collect();
        let units = found["services"].as_object().unwrap();
        let names: Vec<&str> = units.keys().map(String::as_str).collect();
        let mut own_names: Vec<&str> = expected.iter().map(|service| service.name).collect();
        own_names.sort_unstable();
        assert_eq!(names, own_names);
        for service in &expected {
            let (here, there) = (of_nix(&units[service.name]), of_the_image(service));
            let differing: Vec<_> = here.symmetric_difference(&there).collect();
            assert!(differing.is_empty(), "{}: {differing:#?}", service.name);
        }
        let users: BTreeSet<&str> = image.users.iter().map(|user| user.name).collect();
        let there: BTreeSet<&str> =
            found["users"]["users"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(there, users);
        let public = expected.iter().flat_map(|service| &service.ports);
        let public = public.filter(|port| port.reach == Reach::Public);
        let public: BTreeSet<u64> = public.map(|port| u64::from(port.number)).collect();
        let ports = found["allowedTCPPorts"].as_array().unwrap();
        assert_eq!(ports.iter().filter_map(Json::as_u64).collect::<BTreeSet<_>>(), public);
        for file in expected.iter().flat_map(|service| &service.config_files) {
            let name = file.path.strip_prefix("/etc/").unwrap();
            let source = &found["etc"][name]["source"];
            assert_eq!(*source, format!("/nix/store/mailkiln-files{}", file.path));
        }
        assert_eq!(found["tmpfiles"]["/var/lib/acme"]["d"]["mode"], "2770");
    }
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
            format!("{good} relay = {{ host = \"x\"; user = \"y\"; }};"),
            "{ services.mailkiln.secrets.relay-password = \"/nix/store/x\"; }",
            "not of type `path not in the store'",
        ),
    ] {
        let error = nix.configuration(&format!("{{ {settings} }}"), more, units).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
    let fine = nix.configuration(&format!("{{ {good} }}"), "", units);
    assert!(fine.is_ok(), "{fine:?}");
}

#[test]
fn a_certificate_of_nixos_is_waited_for_and_read() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_toml(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
    let more = "{ services.mailkiln.useACMEHost = \"example.org\"; security.acme.certs.\"example.org\" = \
                { group = \"certs\"; directory = \"/var/lib/acme/example.org\"; }; }";
    let wanted = "{ inherit (config.systemd.services.mail-server) after wants serviceConfig; \
                  inherit (config.systemd.tmpfiles.settings) mailkiln-certificate; certs = config.security.acme.certs; }";
    let found = nix.configuration(&settings, more, wanted).unwrap();
    let unit = Json::from("acme-example.org.service");
    assert!(found["after"].as_array().unwrap().contains(&unit));
    assert!(found["wants"].as_array().unwrap().contains(&unit));
    assert!(
        found["serviceConfig"]["SupplementaryGroups"].as_array().unwrap().contains(&"certs".into())
    );
    assert_eq!(found["certs"]["example.org"]["reloadServices"][0], "mail-server.service");
    let link = &found["mailkiln-certificate"]["/var/lib/acme/mail.example.org"]["L"]["argument"];
    assert_eq!(*link, "/var/lib/acme/example.org");
}
