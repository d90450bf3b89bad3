//! sshd's verdict on its configuration.

use std::path::Path;

use crate::fixture::{FULL, MINIMAL, built, file, judge};

const SSHD: &str = "/usr/sbin/sshd";

#[test]
fn sshd_takes_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = judge("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]);
    if made.is_none_or(|(fine, _)| !fine) {
        return;
    }
    let configuration = file(&built(FULL), "/etc/ssh/sshd_config");
    let path = folder.path().join("sshd_config");
    std::fs::write(&path, configuration).unwrap();
    let arguments = ["-T", "-f", path.to_str().unwrap(), "-h", key.to_str().unwrap()];
    // ./check does not install a server that would start to listen.
    if !Path::new(SSHD).exists() {
        eprintln!("{SSHD} is not installed: it judges nothing here");
        return;
    }
    let Some((fine, said)) = judge(SSHD, &arguments) else { return };
    if said.contains("Missing privilege separation directory") {
        eprintln!("sshd can't judge before it has run once: {said}");
        return;
    }
    assert!(fine, "{said}");
    for line in [
        "port 2222",
        "permitrootlogin without-password",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitopen 127.0.0.1:*",
    ] {
        assert!(said.lines().any(|said| said == line), "`{line}` is missing:\n{said}");
    }
}

#[test]
fn without_keys_there_is_no_shell() {
    let entries = built(MINIMAL).tree_entries().unwrap();
    let ssh: Vec<String> = entries
        .iter()
        .map(|(path, _)| path.to_string())
        .filter(|path| path.contains("ssh"))
        .collect();
    assert!(ssh.is_empty(), "{ssh:?}");
}

/// The rules of the spec know no unit, so they list the ports themselves.
#[test]
fn it_takes_no_port_of_another_service() {
    let ports = mailkiln_unit::units().iter().flat_map(|unit| &unit.services);
    for port in ports.flat_map(|service| &service.ports) {
        let table = format!("\n[ssh]\nport = {}\nkeys = []\n", port.number);
        let said = mailkiln_spec::parse(&(MINIMAL.to_owned() + &table)).unwrap_err().to_string();
        let expected = format!("SSH can't listen on port {}", port.number);
        assert!(said.contains(&expected), "{}: {said}", port.name);
    }
}
