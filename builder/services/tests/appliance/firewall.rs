//! The firewall's rules, judged by nft.

use std::collections::BTreeSet;

use mailkiln_services::Reach;

use crate::fixture::{ALL, FULL, MINIMAL, built, file, judge};

#[test]
fn nft_takes_the_rules() {
    for (name, mail_toml) in ALL {
        let rules = file(&built(mail_toml), "/etc/mailkiln/firewall.nft");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.nft");
        std::fs::write(&path, &rules).unwrap();
        let Some((fine, said)) = judge("nft", &["--check", "--file", path.to_str().unwrap()])
        else {
            return;
        };
        // nft needs netlink and the right to use it; elsewhere it can't judge.
        if said.contains("Operation not permitted") || said.contains("Unable to initialize") {
            eprintln!("nft is not allowed to judge here: {said}");
            return;
        }
        assert!(fine, "{name}: {said}\n{rules}");
    }
}

#[test]
fn exactly_the_public_ports_are_open() {
    let mail = [25, 143, 465, 587, 993, 995, 4190];
    for (mail_toml, more) in [(MINIMAL, vec![80]), (FULL, vec![2222])] {
        let appliance = built(mail_toml);
        let open: BTreeSet<u16> = appliance.firewall.open.iter().map(|port| port.number).collect();
        assert_eq!(open, mail.into_iter().chain(more).collect());
        let loopback = appliance
            .services
            .iter()
            .flat_map(|service| &service.ports)
            .filter(|port| port.reach == Reach::Loopback);
        for port in loopback {
            assert!(!open.contains(&port.number), "{port:?}");
        }
    }
}
