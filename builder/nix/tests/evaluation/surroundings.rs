//! What a host decides, what contradicts itself there, and what restarts.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_nix::{Value, on_a_host};
use mailkiln_services::HostFacts;
use serde_json::{Value as Json, json};

use super::Nix;
use super::specs::{FULL, PLAIN};
use super::units::HOST_ONLY;

#[test]
fn a_foreign_mail_server_is_not_waited_for() {
    let Some(nix) = Nix::here() else { return };
    let settings = Value::from_json(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
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
        (
            good.to_owned(),
            "{ virtualisation.oci-containers.containers.app.ports = [ \"53:53/udp\" \"127.0.0.1:8080:80/tcp\" ]; }",
            "ports.api is 8080, which virtualisation.oci-containers.containers.app.ports has",
        ),
        (
            good.to_owned(),
            "{ virtualisation.oci-containers.containers.mail.ports = [ \"25:25\" ]; }",
            "services.mailkiln and virtualisation.oci-containers.containers.mail.ports would listen",
        ),
        (
            good.to_owned(),
            "{ services.traefik = { enable = true; staticConfigOptions.entryPoints.traefik.address = \":8080\"; }; }",
            "ports.api is 8080, which services.traefik's entry point traefik has",
        ),
        (
            good.replace("\"example.org\"", "\"bücher.example\""),
            "{ services.nginx.enable = true; services.mailkiln.webServer = \"nginx\"; }",
            "nginx would be told autoconfig.bücher.example",
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
        (FULL, nginx, Some("waits for requests at /run/mailkiln-web/http")),
        (FULL, "{ services.nginx.enable = true; services.mailkiln.webServer = \"nginx\"; }", None),
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
    let settings = Value::from_json(&toml::from_str(PLAIN).unwrap()).unwrap().to_string();
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
            "{ services.resolved = { enable = true; settings.Resolve = { }; }; }",
            "--resolver=resolved",
        ),
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

/// With a web server the web unit has a Unix socket and no port; without one it has its ports.
#[test]
fn the_web_unit_is_behind_the_web_server_of_a_host() {
    let Some(nix) = Nix::here() else { return };
    let wanted = "{ inherit (config.systemd) sockets; ports = config.networking.firewall.allowedTCPPorts; \
                  settings = config.services.mailkiln.settings.web; users = config.users.users; \
                  script = config.services.mailkiln.files.script; hosts = config.services.nginx.virtualHosts or { }; \
                  caddy = config.services.caddy.virtualHosts or { }; }";
    let opened = |found: &Json| -> Vec<String> {
        found["sockets"].as_object().unwrap().keys().cloned().collect()
    };
    let has = |found: &Json, port: u64| found["ports"].as_array().unwrap().contains(&port.into());
    let alone = nix.host(PLAIN, "", wanted).unwrap();
    assert_eq!(opened(&alone), ["mailkiln-web-http", "mailkiln-web-https"]);
    let socket = &alone["sockets"]["mailkiln-web-https"];
    assert_eq!(socket["socketConfig"]["ListenStream"], 443);
    assert_eq!(socket["socketConfig"]["Service"], "mailkiln-web.service");
    assert!(has(&alone, 80) && has(&alone, 443));

    // Who has the ports keeps them, also where nobody has said who passes requests on.
    let container =
        "{ virtualisation.oci-containers.containers.proxy.ports = [ \"80:80\" \"443:443\" ]; }";
    for unasked in ["{ services.nginx.enable = true; }", container] {
        let behind = nix.host(PLAIN, unasked, wanted).unwrap();
        assert_eq!(opened(&behind), ["mailkiln-web-proxied"]);
        assert!(!has(&behind, 80) && !has(&behind, 443));
        assert_eq!(behind["hosts"], json!({}));
    }
    let said =
        "{ services.nginx.enable = true; services.mailkiln.settings.web.behind_proxy = false; }";
    let alone = nix.host(PLAIN, said, wanted).unwrap();
    assert_eq!(opened(&alone), ["mailkiln-web-http", "mailkiln-web-https"]);

    let nginx = "{ services.nginx.enable = true; services.mailkiln.webServer = \"nginx\"; }";
    let behind = nix.host(PLAIN, nginx, wanted).unwrap();
    assert_eq!(opened(&behind), ["mailkiln-web-proxied"]);
    let socket = &behind["sockets"]["mailkiln-web-proxied"]["socketConfig"];
    assert_eq!(socket["ListenStream"], "/run/mailkiln-web/http");
    assert_eq!(
        (&socket["SocketGroup"], &socket["SocketMode"]),
        (&json!("mailkiln-web"), &json!("0660"))
    );
    assert!(!has(&behind, 80) && !has(&behind, 443));
    assert!(behind["script"].as_str().unwrap().contains(r#""behind_proxy":true"#));
    for name in ["mail.example.org", "mta-sts.example.org", "autoconfig.example.org"] {
        let place = &behind["hosts"][name]["locations"]["/"];
        assert_eq!(place["proxyPass"], "http://unix:/run/mailkiln-web/http");
        let headers = place["extraConfig"].as_str().unwrap();
        assert!(headers.contains("X-Forwarded-For $remote_addr;"), "{headers}");
    }
    assert_eq!(behind["users"]["nginx"]["extraGroups"], json!(["mailkiln-web"]));

    let caddy = "{ services.caddy.enable = true; services.mailkiln.webServer = \"caddy\"; }";
    let behind = nix.host(PLAIN, caddy, wanted).unwrap();
    let text = behind["caddy"]["mail.example.org"]["extraConfig"].as_str().unwrap();
    assert_eq!(text, "reverse_proxy unix//run/mailkiln-web/http");

    let off =
        nix.host(&format!("{PLAIN}[web]\nenable = false\n"), "", "config.systemd.sockets").unwrap();
    assert_eq!(off, json!({}));
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
