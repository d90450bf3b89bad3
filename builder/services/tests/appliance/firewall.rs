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
    for (mail_toml, more) in [(MINIMAL, vec![80, 443]), (FULL, vec![80, 443, 2222])] {
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

/// Whoever takes a service over must not talk to what trusts loopback. In a network of its own, with the
/// kernel as judge.
#[test]
fn loopback_belongs_to_those_who_need_it() {
    let rules = file(&built(MINIMAL), "/etc/mailkiln/firewall.nft");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.nft");
    std::fs::write(&path, &rules).unwrap();
    let script = format!(
        r#"ip link set lo up && nft --file {} || exit 77
for port in 8080 10025 10026 1993 1465 110; do
  /usr/bin/python3 -c "
import socket
s = socket.create_server(('127.0.0.1', $port))
while True: s.accept()" & listeners="$listeners $!"
done
sleep 1
for port in 8080 10025 10026 1993 1465 110; do
  for user in 0 801 802 805 809 65534; do
    if setpriv --reuid=$user --clear-groups /usr/bin/python3 -c "
import socket
socket.create_connection(('127.0.0.1', $port), 0.4)" 2>/dev/null; then echo $port $user; fi
  done
done
kill $listeners"#,
        path.display()
    );
    let Some((_, said)) = judge("unshare", &["--net", "sh", "-c", &script]) else { return };
    if !said.contains("110 0") {
        assert!(
            std::env::var_os("CI").is_none(),
            "the kernel is not allowed to judge here: {said}"
        );
        eprintln!("the kernel is not allowed to judge here: {said}");
        return;
    }
    let mut expected: Vec<String> =
        [0, 801, 802, 805, 809, 65534].map(|user| format!("110 {user}")).to_vec();
    for (port, users) in [
        (8080, vec![0, 802, 809]),
        (10_025, vec![0, 801]),
        (10_026, vec![0, 805]),
        (1993, vec![0, 809]),
        (1465, vec![0, 809]),
    ] {
        expected.extend(users.iter().map(|user| format!("{port} {user}")));
    }
    let mut found: Vec<&str> = said.lines().collect();
    expected.sort();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// Metadata services hand out what the owner passes on, and credentials of the cloud in some. Name service at
/// the same address is for all. The source is another address, as it is on a machine whose cloud is beside it.
#[test]
fn metadata_services_belong_to_the_agent() {
    let rules = file(&built(MINIMAL), "/etc/mailkiln/firewall.nft");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.nft");
    std::fs::write(&path, &rules).unwrap();
    let script = format!(
        r#"ip link set lo up && ip addr add 169.254.169.254/32 dev lo && ip addr add 168.63.129.16/32 dev lo || exit 77
ip -6 addr add fd00:ec2::254/128 dev lo nodad
nft --file {} || exit 77
for place in 169.254.169.254/80 168.63.129.16/80 fd00:ec2::254/80 169.254.169.254/53; do
  /usr/bin/python3 -c "
import socket
address, port = '$place'.split('/')
s = socket.create_server((address, int(port)), family=socket.AF_INET6 if ':' in address else socket.AF_INET)
while True: s.accept()" & listeners="$listeners $!"
done
sleep 1
for place in 169.254.169.254/80 168.63.129.16/80 fd00:ec2::254/80 169.254.169.254/53; do
  for user in 0 801 802 805 65534; do
    if setpriv --reuid=$user --clear-groups /usr/bin/python3 -c "
import socket
address, port = '$place'.split('/')
source = '::1' if ':' in address else '127.0.0.1'
socket.create_connection((address, int(port)), 0.4, (source, 0))" 2>/dev/null; then echo $place $user; fi
  done
done
kill $listeners"#,
        path.display()
    );
    let Some((_, said)) = judge("unshare", &["--net", "sh", "-c", &script]) else { return };
    if !said.contains("169.254.169.254/53 0") {
        eprintln!("the kernel is not allowed to judge here: {said}");
        return;
    }
    let mut expected: Vec<String> = ["169.254.169.254/80", "168.63.129.16/80", "fd00:ec2::254/80"]
        .map(|place| format!("{place} 802"))
        .to_vec();
    expected.extend([0, 801, 802, 805, 65534].map(|user| format!("169.254.169.254/53 {user}")));
    let mut found: Vec<&str> = said.lines().collect();
    expected.sort();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn without_rules_there_is_no_network() {
    let entries = built(MINIMAL).tree_entries().unwrap();
    let link = "/etc/systemd/system/systemd-networkd.service.requires/mailkiln-firewall.service";
    assert!(entries.iter().any(|(path, _)| path.to_string() == link));
    let unit = file(&built(MINIMAL), "/etc/systemd/system/mailkiln-firewall.service");
    assert!(
        unit.lines().any(|line| {
            line.starts_with("Before=") && line.contains("systemd-networkd.service")
        })
    );
}
