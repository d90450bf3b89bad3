//! Certificates from an authority.

use mailkiln_services::{NetworkAccess, Reach, Trigger};

use crate::fixture::{FULL, IPV4, MINIMAL, built, file};

fn settings(mail_toml: &str) -> serde_json::Value {
    serde_json::from_str(&file(&built(mail_toml), "/etc/mailkiln/acme.json")).unwrap()
}

#[test]
fn a_certificate_is_asked_for_without_a_word_in_the_file() {
    let json = settings(MINIMAL);
    assert_eq!(json["directory"], "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(json["contact"][0], "mailto:postmaster@example.org");
    assert_eq!(json["challenge"]["listen"], "[::]:80");
    assert_eq!(json["challenge"]["served"], true);
    let alone = settings(&format!("{MINIMAL}\n[web]\nenable = false\n"));
    assert!(alone["challenge"].get("served").is_none());
    assert_eq!(alone["names"], serde_json::json!(["mail.example.org"]));
    let names = ["mail", "autoconfig", "autodiscover", "mta-sts"];
    assert_eq!(json["names"], serde_json::json!(names.map(|name| format!("{name}.example.org"))));
}

#[test]
fn the_firewall_opens_what_the_challenge_needs() {
    let without_web = format!("{MINIMAL}\n[web]\nenable = false\n");
    for (mail_toml, port) in
        [(MINIMAL, None), (without_web.as_str(), Some(80)), (IPV4, Some(443)), (FULL, None)]
    {
        let appliance = built(mail_toml);
        let web = appliance.services.iter().any(|it| it.name == "mailkiln-web");
        let client = appliance.services.iter().find(|it| it.name == "mailkiln-acme").unwrap();
        let ports: Vec<u16> = client.ports.iter().map(|port| port.number).collect();
        assert_eq!(ports, port.into_iter().collect::<Vec<_>>());
        assert!(client.ports.iter().all(|port| port.reach == Reach::Public));
        let open = |number| appliance.firewall.open.iter().any(|port| port.number == number);
        assert_eq!(open(80), web || port == Some(80));
        assert!(open(443), "people change their passwords there");
    }
}

#[test]
fn secrets_are_credentials_and_never_in_the_settings() {
    let appliance = built(FULL);
    let client = appliance.services.iter().find(|it| it.name == "mailkiln-acme").unwrap();
    let names: Vec<&str> = client.credentials.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["acme-account-key", "acme-eab-key", "acme-dns-key"]);
    let json = settings(FULL);
    assert_eq!(json["challenge"]["provider"]["server"], "192.0.2.54:53");
    assert_eq!(json["roots"], "/etc/mailkiln/acme-roots.pem");
    let roots = file(&appliance, "/etc/mailkiln/acme-roots.pem");
    assert!(roots.starts_with("-----BEGIN CERTIFICATE-----\nMIIB"), "{roots}");
}

#[test]
fn the_reload_waits_for_a_new_certificate_and_sees_no_network() {
    let appliance = built(MINIMAL);
    let reload = appliance.services.iter().find(|it| it.name == "mailkiln-certificate").unwrap();
    let written = "/var/lib/mailkiln-acme/installed".to_owned();
    assert_eq!(reload.triggers, [Trigger::Changed(written)]);
    let mailkiln_services::Confinement::Sandboxed(sandbox) = &reload.confinement else { panic!() };
    assert!(sandbox.capabilities.is_empty() && sandbox.network == NetworkAccess::None);
    let unit = file(&appliance, "/etc/systemd/system/mailkiln-certificate.path");
    assert!(unit.contains("PathChanged=/var/lib/mailkiln-acme/installed"));
}

#[test]
fn turned_off_there_is_no_trace_of_it() {
    let appliance = built(&format!("{MINIMAL}\n[acme]\nenable = false\n"));
    assert!(appliance.services.iter().all(|service| !service.name.contains("acme")));
    let web = |text: &str| built(text).firewall.open.iter().any(|port| port.number == 80);
    assert!(
        web(MINIMAL)
            && !web(&format!("{MINIMAL}\n[acme]\nenable = false\n[web]\nenable = false\n"))
    );
}

#[test]
fn a_further_domain_has_a_certificate_that_every_program_knows() {
    let mail_toml = format!("{MINIMAL}\n[[domain]]\nname = \"bücher.example\"\n");
    let appliance = built(&mail_toml);
    let json = settings(&mail_toml);
    assert_eq!(json["names"].as_array().unwrap().len(), 4);
    let names = ["autoconfig", "autodiscover", "mta-sts"];
    let names = names.map(|label| format!("{label}.xn--bcher-kva.example"));
    let expected = serde_json::json!([{"name": "xn--bcher-kva.example", "names": names}]);
    assert_eq!(json["certificates"], expected);
    let agent: serde_json::Value =
        serde_json::from_str(&file(&appliance, "/etc/mailkiln/appliance.json")).unwrap();
    assert_eq!(agent["certificates"], serde_json::json!(["xn--bcher-kva.example"]));
    let chain = "/var/lib/mailkiln-acme/live/xn--bcher-kva.example/fullchain.pem";
    let web: toml::Table = file(&appliance, "/etc/mailkiln/web.toml").parse().unwrap();
    let further = &web["tls"]["further"].as_array().unwrap()[0];
    assert_eq!(further["certificate"].as_str(), Some(chain));
    assert_eq!(further["names"].as_array().unwrap().len(), 3);
    let server: toml::Table = file(&appliance, "/etc/mailkiln/mail-server.toml").parse().unwrap();
    let shown = &server["certificate"]["xn--bcher-kva.example"];
    assert_eq!(shown["cert"].as_str(), Some(format!("%{{file:{chain}}}%").as_str()));
    assert!(shown.get("default").is_none());
}

#[test]
fn one_domain_and_certificates_of_others_are_told_as_before() {
    let turned_off =
        format!("{MINIMAL}\n[[domain]]\nname = \"b.example\"\n[acme]\nenable = false\n");
    for mail_toml in [MINIMAL, &turned_off] {
        let appliance = built(mail_toml);
        for path in ["/etc/mailkiln/appliance.json", "/etc/mailkiln/web.toml"] {
            let text = file(&appliance, path);
            assert!(!text.contains("certificates") && !text.contains("further"), "{text}");
        }
    }
    assert!(settings(MINIMAL).get("certificates").is_none());
}
