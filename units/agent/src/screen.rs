//! What the consoles show.
//!
//! In: facts. Out: lines, each starting with `mailkiln: `, that people can read and tests can
//! parse. Their wording is a contract (docs/internals/contracts.md):
//! `mailkiln: account ADDRESS password PASSWORD`, `mailkiln: admin password PASSWORD`,
//! `mailkiln: ready`, `mailkiln: not ready: REASON`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::appliance::DomainName;
use crate::health::Health;
use crate::records::Findings;

/// The lines of the appliance itself and of its health; the verdict comes last.
pub fn status(
    host: &DomainName,
    addresses: &[IpAddr],
    ports: &BTreeSet<u16>,
    refused_seed: Option<&str>,
    health: &Health,
) -> Vec<String> {
    let mut lines = vec![format!("host {host}")];
    if addresses.is_empty() {
        lines.push("address none: check the network cable and mail.toml".to_owned());
    }
    lines.extend(addresses.iter().map(|address| format!("address {address}")));
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "open ports {}",
        if ports.is_empty() { "none".into() } else { ports.join(" ") }
    ));
    lines.extend(refused_seed.map(|reason| format!("seed not used: {reason}")));
    lines.extend(health.warnings().map(|warning| format!("warning: {warning}")));
    lines.extend(health.reasons().map(|reason| format!("not ready: {reason}")));
    if health.healthy {
        lines.push("ready".to_owned());
    }
    lines
}

/// The passwords that were made on this device and nobody has written down yet.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InitialPasswords {
    /// Of the API's administrator.
    pub administrator: Option<String>,
    /// Of accounts: address and password, sorted.
    pub accounts: Vec<(String, String)>,
}

impl std::fmt::Debug for InitialPasswords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InitialPasswords of {} accounts", self.accounts.len())
    }
}

impl InitialPasswords {
    /// Their lines; none when there are none.
    pub fn lines(&self) -> Vec<String> {
        let administrator = self.administrator.iter().map(|p| format!("admin password {p}"));
        let accounts = self.accounts.iter().map(|(a, p)| format!("account {a} password {p}"));
        let mut lines: Vec<_> = administrator.chain(accounts).collect();
        if !lines.is_empty() {
            let hint = "write these passwords down, then run `mailkiln-agent forget-passwords`";
            lines.push(hint.to_owned());
        }
        lines
    }
}

impl InitialPasswords {
    /// The line in their place, where they may not be shown.
    pub fn hint(&self, in_the_first_hour: bool) -> String {
        let why = if in_the_first_hour {
            "first passwords are not shown here, for others may record this console"
        } else {
            "first passwords are no longer shown"
        };
        format!(
            "{why}: `mailkiln-agent password ADDRESS` over ssh sets one, a seed brings some along"
        )
    }
}

/// The lines about DNS.
pub fn dns(findings: &Findings) -> Vec<String> {
    match findings {
        Findings::Unknown(reason) => vec![format!("dns unknown: {reason}")],
        Findings::Missing(records) if records.is_empty() => vec!["dns complete".to_owned()],
        Findings::Missing(records) => {
            records.iter().map(|record| format!("dns missing {record}")).collect()
        }
    }
}

/// Lines about DNS that a screen has room for, beside the passwords and the status that it still shows: keys
/// alone take six lines each.
pub fn dns_in_short(findings: &Findings) -> Vec<String> {
    match findings {
        Findings::Missing(records) if !records.is_empty() => {
            let (count, noun) =
                (records.len(), if records.len() == 1 { "record" } else { "records" });
            vec![format!(
                "dns missing {count} {noun}: `mailkiln dns` and the serial console list them"
            )]
        }
        other => dns(other),
    }
}

/// Lines as they go to a device. A terminal in raw mode wants the carriage return too, and the
/// kernel may have left the cursor in the middle of a line.
pub fn render(lines: &[String], end: &str) -> String {
    // Names of people and reasons from servers must not move the cursor.
    let clean = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    lines.iter().fold(String::new(), |text, line| {
        let line: String = clean(line);
        text + "mailkiln: " + &line + end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Check;

    fn health(detail: Option<&str>) -> Health {
        let check = Check {
            name: "mail",
            ok: detail.is_none(),
            warning: false,
            detail: detail.unwrap_or("").into(),
        };
        Health { healthy: check.ok, checks: vec![check] }
    }

    #[test]
    fn the_whole_screen() {
        let host = DomainName::try_from("mail.example.org".to_owned()).unwrap();
        let passwords = InitialPasswords {
            administrator: Some("aaaa".to_owned()),
            accounts: vec![("alice@example.org".to_owned(), "bbbb".to_owned())],
        };
        let ports = BTreeSet::from([25, 993]);
        let mut lines = passwords.lines();
        lines.extend(status(&host, &["10.0.2.15".parse().unwrap()], &ports, None, &health(None)));
        lines.extend(dns(&Findings::Missing(vec!["example.org. IN MX 10 x.".to_owned()])));
        assert_eq!(
            render(&lines, "\n"),
            "mailkiln: admin password aaaa\n\
             mailkiln: account alice@example.org password bbbb\n\
             mailkiln: write these passwords down, then run `mailkiln-agent forget-passwords`\n\
             mailkiln: host mail.example.org\n\
             mailkiln: address 10.0.2.15\n\
             mailkiln: open ports 25 993\n\
             mailkiln: ready\n\
             mailkiln: dns missing example.org. IN MX 10 x.\n"
        );
    }

    #[test]
    fn a_screen_of_25_lines_holds_passwords_status_and_dns_at_once() {
        let host = DomainName::try_from("mail.example.org".to_owned()).unwrap();
        let passwords = InitialPasswords {
            administrator: Some("aaaa".to_owned()),
            accounts: (0..6).map(|n| (format!("user{n}@example.org"), "bbbb".to_owned())).collect(),
        };
        let mut lines = passwords.lines();
        let addresses = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        lines.extend(status(&host, &addresses, &BTreeSet::from([25]), None, &health(None)));
        let key = format!("example.org. IN TXT \"{}\"", "k".repeat(400));
        lines.extend(dns_in_short(&Findings::Missing(vec![key; 12])));
        let rows: usize =
            lines.iter().map(|line| ("mailkiln: ".len() + line.len()).div_ceil(80)).sum();
        assert!(rows <= 20, "{rows} rows: {lines:?}");
        assert!(lines.last().unwrap().starts_with("dns missing 12 records"));
        assert_eq!(dns_in_short(&Findings::Missing(Vec::new())), ["dns complete"]);
    }

    #[test]
    fn a_broken_appliance_is_never_ready() {
        let host = DomainName::try_from("a.b".to_owned()).unwrap();
        let lines =
            status(&host, &[], &BTreeSet::new(), Some("it is damaged"), &health(Some("it burns")));
        assert!(lines.contains(&"seed not used: it is damaged".to_owned()), "{lines:?}");
        assert_eq!(lines[1], "address none: check the network cable and mail.toml");
        assert_eq!(lines.last().unwrap(), "not ready: it burns");
        assert!(!lines.iter().any(|line| line == "ready"));
    }

    #[test]
    fn a_warning_is_shown_and_mail_is_ready_all_the_same() {
        let host = DomainName::try_from("a.b".to_owned()).unwrap();
        let mut health = health(None);
        let detail = "no certificate".to_owned();
        health.checks.push(Check { name: "renewal", ok: false, warning: true, detail });
        let lines = status(&host, &[], &BTreeSet::new(), None, &health);
        assert_eq!(lines[lines.len() - 2..], ["warning: no certificate", "ready"]);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(render(&["a\x1b[2Jb\r\nc".to_owned()], "\n"), "mailkiln: a [2Jb  c\n");
        assert_eq!(InitialPasswords::default().lines(), Vec::<String>::new());
        assert_eq!(dns(&Findings::Missing(Vec::new())), ["dns complete"]);
    }
}
