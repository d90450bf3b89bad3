//! The files that `mailkiln new` writes and that `./demo` builds.
//!
//! In: a domain. Out: the text of a `mail.toml` that explains itself.

use crate::domain_name::DomainName;

/// The configuration of the demonstration: host `mail.example.test`, accounts
/// `alice@example.test` and `bob@example.test`.
pub const DEFAULT: &str = include_str!("../data/default.toml");

/// What `mailkiln new` writes, with `{domain}` where the domain goes.
const TEMPLATE: &str = include_str!("../data/template.toml");

/// What `mailkiln new --generic` writes: an image that is nobody's until it has its fragment.
pub const GENERIC: &str = include_str!("../data/generic.toml");

/// A commented, valid `mail.toml` for a domain, in the domain's own script.
pub fn template(domain: &DomainName) -> String {
    TEMPLATE.replace("{domain}", &domain.to_unicode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn the_template_is_valid_for_any_domain() {
        for domain in ["example.org", "bücher.example", "a.b.c.example"] {
            let domain: DomainName = domain.parse().unwrap();
            let spec = parse(&template(&domain)).unwrap();
            assert_eq!(spec.domains[0].name, domain);
            assert_eq!(spec.host.name.to_string(), format!("mail.{domain}"));
        }
    }

    /// Each line that is commented out must be valid once the comment sign is gone.
    #[test]
    fn what_the_template_suggests_is_valid_too() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let text = template(&"example.org".parse().unwrap())
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(code) if code.starts_with('[') || code.contains(" = ") => code,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
            .replace("ssh-ed25519 AAAA…", key);
        let spec = parse(&text).unwrap();
        assert!(spec.ssh.is_some() && spec.relay.is_some() && spec.mirror.is_some());
        assert_eq!(spec.network.addresses.len(), 2);
    }

    #[test]
    fn a_generic_image_waits() {
        let spec = parse(GENERIC).unwrap();
        assert!(spec.is_waiting && spec.ssh.is_some() && spec.accounts.is_empty());
    }

    #[test]
    fn the_default_has_two_accounts() {
        let spec = parse(DEFAULT).unwrap();
        let addresses: Vec<String> =
            spec.accounts.iter().map(|it| it.address.to_string()).collect();
        assert_eq!(addresses, ["alice@example.test", "bob@example.test"]);
        let aliases: Vec<String> =
            spec.accounts[0].aliases.iter().map(|it| it.to_string()).collect();
        assert_eq!(aliases, ["postmaster@example.test", "abuse@example.test"]);
        assert_eq!(spec.mail.postmaster.to_string(), "postmaster@example.test");
    }
}
