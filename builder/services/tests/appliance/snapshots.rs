//! Every file of every fixture, as it is.

use std::fmt::Write as _;

use mailkiln_tree::{Content, Kind};

use crate::fixture::{ALL, MINIMAL, built, file};

#[test]
fn files_are_as_they_were() {
    for (name, mail_toml) in ALL {
        let mut text = String::new();
        for (path, entry) in built(mail_toml).tree_entries().unwrap() {
            match &entry.kind {
                Kind::Directory => {}
                Kind::Symlink(target) => writeln!(text, "==> {path} -> {target}\n").unwrap(),
                Kind::File(Content::Inline(bytes)) => {
                    let owner = entry.owner.uid;
                    let contents = std::str::from_utf8(bytes).unwrap();
                    writeln!(text, "==> {path} {:04o} {owner}\n{contents}", entry.mode).unwrap();
                }
                Kind::File(Content::Packed { .. }) => panic!("{path} is not inline"),
            }
        }
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn directories_come_before_what_is_in_them() {
    for (_, mail_toml) in ALL {
        let entries = built(mail_toml).tree_entries().unwrap();
        for (index, (path, _)) in entries.iter().enumerate() {
            let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) else {
                continue;
            };
            assert!(entries[..index].iter().any(|(above, _)| *above == parent), "{path}");
        }
    }
}

/// What systemd-networkd is told where a network is not the usual one.
#[test]
fn networks_of_providers_are_rendered() {
    let rendered = |network: &str, file_name: &str| {
        let text = format!("{MINIMAL}\n[network]\n{network}\n");
        file(&built(&text), &format!("/etc/systemd/network/{file_name}"))
    };
    let usual = "10-mailkiln.network";
    let alone = rendered("addresses = ['203.0.113.10/32']\ngateways = ['172.31.1.1']", usual);
    assert!(alone.ends_with("[Route]\nGateway=172.31.1.1\nGatewayOnLink=yes\n"), "{alone}");
    let mixed =
        rendered("dhcp = 'ipv4'\naddresses = ['2001:db8::10/64']\ngateways = ['fe80::1']", usual);
    for line in
        ["DHCP=ipv4", "IPv6AcceptRA=no", "Address=2001:db8::10/64", "Gateway=fe80::1", "[DHCPv4]"]
    {
        assert!(mixed.contains(line), "{line}: {mixed}");
    }
    assert!(!mixed.contains("DHCPv6"), "{mixed}");
    let card = rendered("mac = '52-54-00-AB-CD-EF'\ndriver = 'igb'", usual);
    assert!(
        card.contains("MACAddress=52:54:00:ab:cd:ef\nKind=!*\nDriver=igb\nName=en* eth*\n"),
        "{card}"
    );
    let vlan = "interface = 'enp1s0'\nvlan = 100";
    assert!(rendered(vlan, usual).contains("Name=vlan-mail\n"));
    assert!(rendered(vlan, "10-mailkiln.netdev").contains("Kind=vlan\n\n[VLAN]\nId=100\n"));
    let below = rendered(vlan, "11-mailkiln-card.network");
    assert!(below.contains("Name=enp1s0\n") && below.contains("VLAN=vlan-mail\n"), "{below}");
}
