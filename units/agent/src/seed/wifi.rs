//! A wireless network as iwd wants it: iwd.network(5).
//!
//! In: a name and a password. Out: the name of a file below `/var/lib/iwd`, and its text.

use std::fmt;

use serde::Deserialize;

/// A wireless network.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    name: String,
    password: Option<String>,
}

impl fmt::Debug for Wifi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wifi {:?}", self.name)
    }
}

impl Wifi {
    /// Whether a network can have this name, and WPA this password.
    pub(super) fn is_sound(&self) -> bool {
        let name = (1..=32).contains(&self.name.len()) && !self.name.chars().any(char::is_control);
        let fits = |text: &String| {
            (8..=63).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        name && self.password.iter().all(fits)
    }

    /// The file's name: iwd.network(5), "File format"; a name with other characters as hex digits.
    pub fn file_name(&self) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_ ".contains(&b);
        let kind = if self.password.is_some() { "psk" } else { "open" };
        if self.name.bytes().all(plain) {
            return format!("{}.{kind}", self.name);
        }
        let hex: String = self.name.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("={hex}.{kind}")
    }

    /// The file's text. The password and not the key that follows from it: WPA3 needs it.
    pub fn render(&self) -> String {
        let Some(password) = &self.password else {
            return "[Settings]\nAutoConnect=true\n".to_owned();
        };
        // Blanks at the ends would be stripped, and a backslash starts an escape.
        let inner = password.trim_matches(' ');
        let ends = password.split_once(inner).filter(|_| !inner.is_empty());
        let (before, behind) = ends.unwrap_or((password, ""));
        let blanks = |text: &str| "\\s".repeat(text.len());
        let inner = inner.replace('\\', "\\\\");
        format!("[Security]\nPassphrase={}{inner}{}\n", blanks(before), blanks(behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wifi(name: &str, password: Option<&str>) -> Wifi {
        Wifi { name: name.to_owned(), password: password.map(str::to_owned) }
    }

    #[test]
    fn files_are_what_iwd_reads() {
        for (name, password, file, text) in [
            ("Home-1_a b", Some("12345678"), "Home-1_a b.psk", "[Security]\nPassphrase=12345678\n"),
            ("../x", Some("12345678"), "=2e2e2f78.psk", "[Security]\nPassphrase=12345678\n"),
            ("Café", None, "=436166c3a9.open", "[Settings]\nAutoConnect=true\n"),
            ("a", Some(" a\\b c  "), "a.psk", "[Security]\nPassphrase=\\sa\\\\b c\\s\\s\n"),
            ("a", Some("        "), "a.psk", "[Security]\nPassphrase=\\s\\s\\s\\s\\s\\s\\s\\s\n"),
        ] {
            let wifi = wifi(name, password);
            assert!(wifi.is_sound(), "{name}");
            assert_eq!((wifi.file_name().as_str(), wifi.render().as_str()), (file, text));
        }
    }

    #[test]
    fn what_no_network_has_is_refused() {
        for (name, password) in [
            ("", None),
            ("a\n[Settings]", None),
            ("x", Some("short")),
            ("x", Some("12345678\n")),
            ("x", Some("ü2345678")),
        ] {
            assert!(!wifi(name, password).is_sound(), "{name:?} {password:?}");
        }
        assert!(!wifi(&"x".repeat(33), None).is_sound());
        assert!(!format!("{:?}", wifi("Home", Some("12345678"))).contains("1234"));
    }
}
