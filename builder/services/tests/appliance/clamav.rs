//! ClamAV beside the filter.

use mailkiln_services::{Confinement, NetworkAccess};

use crate::fixture::{CLAMAV, FULL, MINIMAL, built, file};

#[test]
fn who_reads_mail_has_no_network_and_who_has_it_reads_none() {
    let appliance = built(CLAMAV);
    let sandbox = |name: &str| {
        let service = appliance.all_services().find(|it| it.name == name).unwrap();
        let Confinement::Sandboxed(sandbox) = &service.confinement else { panic!("{name}") };
        (service.user.unwrap().name, service.groups.clone(), sandbox.clone())
    };
    let (user, _, scanner) = sandbox("clamav-daemon");
    assert_eq!((user, scanner.network), ("clamav", NetworkAccess::None));
    assert!(scanner.writable.is_empty());
    let (user, groups, updater) = sandbox("clamav-freshclam");
    assert_eq!((user, updater.network), ("freshclam", NetworkAccess::Internet));
    assert!(groups.is_empty(), "it could use the socket");
    assert_eq!(sandbox("mailkiln-filter").1, ["clamav"]);
    let text = file(&appliance, "/etc/clamav/clamd.conf");
    assert!(text.contains("LocalSocket /run/clamav/clamd.ctl\nLocalSocketMode 660\n"), "{text}");
    assert!(file(&appliance, "/etc/mailkiln/filter.toml").contains("\"/run/clamav/clamd.ctl\""));
}

#[test]
fn the_scanner_starts_when_there_is_something_to_look_for() {
    let appliance = built(CLAMAV);
    let path = file(&appliance, "/etc/systemd/system/clamav-daemon.path");
    assert!(path.contains("PathExistsGlob=/var/lib/clamav/*.[chiln]?[bd]\n"), "{path}");
    let unit = file(&appliance, "/etc/systemd/system/clamav-daemon.service");
    assert!(!unit.contains("WantedBy"), "{unit}");
}

#[test]
fn users_are_there_where_it_is() {
    let users = |mail_toml| {
        let users = built(mail_toml).users().iter().map(|user| user.id).collect::<Vec<_>>();
        users.into_iter().filter(|id| [806, 807].contains(id)).collect::<Vec<_>>()
    };
    assert_eq!(users(CLAMAV), [806, 807]);
    for other in [MINIMAL, FULL] {
        assert_eq!(users(other), [0; 0]);
        assert!(built(other).all_services().all(|service| !service.name.contains("clam")));
    }
}

#[test]
fn the_agent_knows_what_becomes_of_mail_meanwhile() {
    let known = |mail_toml: &str| {
        let text = file(&built(mail_toml), "/etc/mailkiln/appliance.json");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["clamav"].clone()
    };
    assert_eq!(known(CLAMAV), "defer");
    assert_eq!(
        known(&CLAMAV.replace("clamav = true", "clamav = true\non_failure = \"pass\"")),
        "pass"
    );
    assert_eq!(known(FULL), serde_json::Value::Null);
}
