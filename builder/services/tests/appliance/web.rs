//! The web unit: its sockets, its sandbox, its file.

use mailkiln_services::{Confinement, NetworkAccess, Reach};

use crate::fixture::{FULL, IPV4, MINIMAL, built, file};

fn settings(mail_toml: &str) -> toml::Table {
    file(&built(mail_toml), "/etc/mailkiln/web.toml").parse().unwrap()
}

#[test]
fn it_has_its_ports_from_systemd_and_no_capability() {
    let appliance = built(MINIMAL);
    let web = appliance.services.iter().find(|it| it.name == "mailkiln-web").unwrap();
    let Confinement::Sandboxed(sandbox) = &web.confinement else { panic!() };
    assert!(sandbox.capabilities.is_empty() && sandbox.network == NetworkAccess::Public);
    let text = file(&appliance, "/etc/systemd/system/mailkiln-web.service");
    let denied = text.lines().find(|line| line.starts_with("IPAddressDeny=")).unwrap();
    assert!(denied.contains("192.168.0.0/16") && !denied.contains("any"), "{denied}");
    assert!(web.ports.iter().all(|port| port.reach == Reach::Public));
    for (name, port) in [("http", 80), ("https", 443)] {
        let unit = format!("/etc/systemd/system/mailkiln-web-{name}.socket");
        let text = file(&appliance, &unit);
        for line in [
            format!("ListenStream={port}"),
            format!("FileDescriptorName={name}"),
            "Service=mailkiln-web.service".to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        let link = format!("etc/systemd/system/sockets.target.wants/mailkiln-web-{name}.socket");
        let entries = appliance.tree_entries().unwrap();
        assert!(entries.iter().any(|(path, _)| path.as_str() == link), "{link}");
    }
}

#[test]
fn switched_off_there_is_no_trace_of_it() {
    let appliance = built(IPV4);
    assert!(appliance.services.iter().all(|it| it.name != "mailkiln-web"));
    let server = file(&appliance, "/etc/mailkiln/mail-server.toml");
    assert!(!server.contains("web-") && !server.contains("oauthbearer"), "{server}");
    assert!(server.contains("use-x-forwarded = false"));
}

#[test]
fn without_ipv6_it_listens_on_ipv4() {
    let text = MINIMAL.to_owned() + "[network]\nipv6 = false\n";
    let socket = file(&built(&text), "/etc/systemd/system/mailkiln-web-https.socket");
    assert!(socket.contains("ListenStream=0.0.0.0:443\n"), "{socket}");
}

#[test]
fn behind_a_proxy_it_has_no_port_and_no_certificate_of_its_own() {
    let text = format!("{MINIMAL}\n[web]\nbehind_proxy = true\nhsts = false\n");
    let appliance = built(&text);
    assert!(!appliance.firewall.open.iter().any(|port| [80, 443].contains(&port.number)));
    let socket = file(&appliance, "/etc/systemd/system/mailkiln-web-proxied.socket");
    for line in
        ["ListenStream=/run/mailkiln-web/http", "SocketMode=0660", "SocketGroup=mailkiln-web"]
    {
        assert!(socket.lines().any(|it| it == line), "{line}: {socket}");
    }
    let settings = settings(&text);
    assert!(settings.get("tls").is_none());
    assert_eq!(settings["hsts_seconds"].as_integer(), Some(0));
}

#[test]
fn its_file_names_the_listeners_that_the_server_has_for_it() {
    let settings = settings(FULL);
    let server: toml::Table = file(&built(FULL), "/etc/mailkiln/mail-server.toml").parse().unwrap();
    for (service, listener) in [("imap", "web-imaps"), ("submission", "web-submissions")] {
        let port = settings["server"][service]["port"].as_integer().unwrap();
        let listener = &server["server"]["listener"][listener];
        assert_eq!(listener["bind"].as_str(), Some(format!("127.0.0.1:{port}").as_str()));
        assert_eq!(listener["tls"]["implicit"].as_bool(), Some(true));
        assert_eq!(listener["proxy"]["trusted-networks"][0].as_str(), Some("127.0.0.1/32"));
        assert_eq!(settings["server"][service]["proxy_header"].as_bool(), Some(true));
    }
    let pin = settings["server"]["sieve"]["pin"].as_str();
    assert_eq!(pin, settings["tls"]["certificate"].as_str());
    let policy = settings["domains"]["example.org.au"]["mta_sts"].as_str().unwrap();
    assert!(
        policy.starts_with("version: STSv1\r\n") && policy.contains("mx: mail.example.org\r\n")
    );
    assert_eq!(settings["hsts_seconds"].as_integer(), Some(31_536_000));
    assert!(settings["limits"]["upload_bytes"].as_integer().unwrap() > 100 << 20);
}
