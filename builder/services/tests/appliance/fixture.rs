//! Five appliances, and the files of one in a folder or by path.

use std::path::Path;
use std::process::Command;

use mailkiln_services::{Appliance, HostFacts, SlotSizes, TargetFacts, appliance};
use mailkiln_tree::{Content, Kind};

/// Everything left to its default.
pub(crate) const MINIMAL: &str = r#"
[host]
name = "mail.example.org"

[[domain]]
name = "example.org"

[[account]]
address = "alice@example.org"
"#;

/// Everything said, with names that have tripped up others.
pub(crate) const FULL: &str = r#"
[host]
name = "mail.example.org"
timezone = "Europe/Berlin"

[network]
interface = "enp1s0"
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
resolvers = ["192.0.2.53", "2001:db8::53"]

[ssh]
port = 2222
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE ann@laptop"]

[[domain]]
name = "example.org"
catch_all = "o'hara@example.org"

[[domain]]
name = "example.org.au"
[domain.filter]
executable = "pass"
encrypted_archive = "quarantine"

[[account]]
address = "o'hara@example.org"
name = "O'Hara \"the boss\""
aliases = ["info@example.org.au"]
quota = "5 GiB"
any_sender = true

[relay]
host = "smtp.example.net"
user = 'CORP\tom'

[mail]
max_message_size = "100 MiB"

[spam]
junk_score = 4.5
reject_score = 15.0
dnsbl = ["dnsbl.example.net", "other-list.example.net"]

[acme]
directory = "https://ca.example.net/acme/directory"
contact = "admin@example.net"
key = "rsa-4096"
profile = "shortlived"
eab_key_id = "kid-1"
roots = ["MIIBAAAA"]
names = ["imap.example.org"]
keep_key = false
challenge = "dns-01"
dns_provider = "rfc2136"
dns_server = "192.0.2.54"
dns_key_name = "acme"
dns_wait = 5

[filter]
on_failure = "pass"
quarantine_days = 7
quarantine_size = "200 MiB"
digest = false
clamd = "10.0.0.5:3310"
rules_url = "https://rules.example.net/mail.yar"
rules_key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

[filter.actions]
macro = "strip"
"#;

/// An IPv4-only machine with DHCP.
pub(crate) const IPV4: &str = r#"
[host]
name = "mail.example.org"

[network]
ipv6 = false

[filter]
enable = false

[[domain]]
name = "example.org"

[[account]]
address = "alice@example.org"

[acme]
challenge = "tls-alpn-01"

[web]
enable = false
"#;

/// With a ClamAV of its own.
pub(crate) const CLAMAV: &str = r#"
[host]
name = "mail.example.org"

[filter]
clamav = true

[[domain]]
name = "example.org"

[[account]]
address = "alice@example.org"
"#;

/// Without a web unit: a page for passwords, and an ACME client that answers on port 80 itself.
pub(crate) const NO_WEB: &str = r#"
[host]
name = "mail.example.org"

[[domain]]
name = "example.org"

[[account]]
address = "alice@example.org"

[web]
enable = false
"#;

pub(crate) const ALL: [(&str, &str); 5] =
    [("minimal", MINIMAL), ("full", FULL), ("ipv4", IPV4), ("clamav", CLAMAV), ("no_web", NO_WEB)];

pub(crate) fn target() -> TargetFacts {
    TargetFacts {
        consoles: vec!["/dev/tty1".to_owned(), "/dev/ttyS0".to_owned()],
        recorded_consoles: vec!["/dev/ttyS0".to_owned()],
        password_page: true,
        slots: SlotSizes { root: 192 << 20, verity: 2 << 20 },
        watchdog: None,
        time_servers: Vec::new(),
        worn_by_writes: false,
        wireless: false,
        host: HostFacts::default(),
    }
}

pub(crate) fn built(mail_toml: &str) -> Appliance {
    let spec = mailkiln_spec::parse(mail_toml).unwrap();
    appliance(&spec, &target(), "[spam-filter.rule.test]\nscope = \"any\"\n")
}

/// The text of one file.
pub(crate) fn file(appliance: &Appliance, path: &str) -> String {
    let entries = appliance.tree_entries().unwrap();
    let (_, entry) = entries.iter().find(|(at, _)| at.to_string() == path).unwrap();
    let Kind::File(Content::Inline(bytes)) = &entry.kind else { panic!("{path} is no file") };
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Writes all files and links below `root`. Owners are left out: tests do not run as root.
pub(crate) fn lay_out(appliance: &Appliance, root: &Path) {
    for (path, entry) in appliance.tree_entries().unwrap() {
        let at = root.join(path.as_str());
        match &entry.kind {
            Kind::Directory => std::fs::create_dir_all(at).unwrap(),
            Kind::File(Content::Inline(bytes)) => std::fs::write(at, bytes).unwrap(),
            Kind::File(Content::Packed { .. }) => panic!("{path} is not inline"),
            Kind::Symlink(target) => std::os::unix::fs::symlink(target, at).unwrap(),
        }
    }
}

/// What a tool says, and whether it is content; `None` when it is not installed, which
/// where CI is set is a failure.
pub(crate) fn judge(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = match Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}; install it");
            eprintln!("{program} is not installed: it judges nothing here");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
