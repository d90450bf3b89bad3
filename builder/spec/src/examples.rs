//! The files that `mailkiln new` writes for nobody's domain, and that `./demo` builds.

/// The configuration of the demonstration: host `mail.example.test`, accounts
/// `alice@example.test` and `bob@example.test`.
pub const DEFAULT: &str = include_str!("../data/default.toml");

/// What `mailkiln new --generic` writes: an image that is nobody's until it has its fragment.
pub const GENERIC: &str = include_str!("../data/generic.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

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
