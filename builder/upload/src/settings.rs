//! What a destination is told: settings of the command line, variables of the environment, files of the home.
//!
//! In: `--set KEY=VALUE`, a copy of the environment. Out: values by key. Each destination declares its settings as
//! data, so that a wrong key is an error and help is complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::UploadError;

/// A setting that a destination has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As in `--set KEY=VALUE`.
    pub key: &'static str,
    /// Variables of the environment that hold it too, the first that is set counts.
    pub variables: &'static [&'static str],
    /// What it is, for help.
    pub what: &'static str,
    /// Its value when nothing says otherwise; `None` where there is none.
    pub default: Option<&'static str>,
}

impl Setting {
    /// A setting without a default.
    pub const fn new(
        key: &'static str,
        variables: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        Self { key, variables, what, default: None }
    }

    /// The same with a default.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }
}

/// Settings that every destination has.
pub const COMMON: &[Setting] = &[
    Setting::new("ca", &[], "PEM file of certificate authorities to trust besides the system's"),
    Setting::new("plain-http", &[], "`yes` allows http:// to other machines").or("no"),
    Setting::new("threads", &[], "how many parts are sent at once").or("4"),
    Setting::new("tries", &[], "how often a request is tried").or("8"),
    Setting::new("poll-seconds", &[], "pause between two looks at a job of the cloud").or("5"),
];

/// The environment of the process, copied, so that tests have one of their own.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Variables.
    pub variables: BTreeMap<String, String>,
}

impl std::fmt::Debug for Surroundings {
    /// Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Those of this process; variables that are no UTF-8 are left out.
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(utf8).collect() }
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file below the home directory.
    pub fn home(&self, below: &str) -> Option<PathBuf> {
        self.variable("HOME").map(|home| Path::new(home).join(below))
    }

    /// A file below the configuration directory (XDG).
    pub fn config(&self, below: &str) -> Option<PathBuf> {
        match self.variable("XDG_CONFIG_HOME") {
            Some(folder) => Some(Path::new(folder).join(below)),
            None => self.home(&format!(".config/{below}")),
        }
    }

    /// The text of a file, if it is there.
    ///
    /// # Errors
    /// [`UploadError::File`] when it is there and can't be read.
    pub fn read(path: &Path) -> Result<Option<String>, UploadError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(UploadError::file("read", path)(error)),
        }
    }
}

/// The settings of one upload.
#[derive(Debug, Clone)]
pub struct Settings {
    destination: &'static str,
    known: Vec<Setting>,
    given: BTreeMap<String, String>,
    /// The environment.
    pub surroundings: Surroundings,
}

impl Settings {
    /// Checks what was given against what the destination has.
    ///
    /// # Errors
    /// [`UploadError::Setting`] for an unknown key.
    pub fn new(
        destination: &'static str,
        own: &[Setting],
        given: BTreeMap<String, String>,
        surroundings: Surroundings,
    ) -> Result<Self, UploadError> {
        let known: Vec<Setting> = own.iter().chain(COMMON).copied().collect();
        if let Some(key) = given.keys().find(|key| known.iter().all(|it| it.key != key.as_str())) {
            let keys: Vec<&str> = known.iter().map(|it| it.key).collect();
            return Err(UploadError::Setting {
                message: format!("{destination} has no setting `{}`", key.escape_debug()),
                hint: format!("choose from {}", keys.join(", ")),
            });
        }
        Ok(Self { destination, known, given, surroundings })
    }

    /// A value: given, in the environment, or the default.
    pub fn get(&self, key: &str) -> Option<String> {
        let setting = self.known.iter().find(|it| it.key == key)?;
        if let Some(value) = self.given.get(key) {
            return Some(value.clone()).filter(|value| !value.is_empty());
        }
        let set = setting.variables.iter().find_map(|name| self.surroundings.variable(name));
        set.or(setting.default).map(str::to_owned)
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// [`UploadError::Setting`] naming the key and its variables.
    pub fn require(&self, key: &str) -> Result<String, UploadError> {
        self.get(key).ok_or_else(|| {
            let setting = self.known.iter().find(|it| it.key == key);
            let variables = setting.map_or(&[][..], |it| it.variables);
            let or = match variables {
                [] => String::new(),
                names => format!(", or the variable {}", names.join(" or ")),
            };
            UploadError::Setting {
                message: format!(
                    "{} needs `{key}`: {}",
                    self.destination,
                    setting.map_or("", |it| it.what)
                ),
                hint: format!("add `--set {key}=…`{or}"),
            }
        })
    }

    /// A whole number between two bounds.
    ///
    /// # Errors
    /// [`UploadError::Setting`].
    pub fn number(&self, key: &str, least: u64, most: u64) -> Result<u64, UploadError> {
        let text = self.require(key)?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| UploadError::Setting {
            message: format!("`{key}` can't be `{}`", text.escape_debug()),
            hint: format!("write a whole number from {least} to {most}"),
        })
    }

    /// `yes` or `no`.
    ///
    /// # Errors
    /// [`UploadError::Setting`].
    pub fn flag(&self, key: &str) -> Result<bool, UploadError> {
        match self.get(key).as_deref() {
            Some("yes" | "true" | "1") => Ok(true),
            None | Some("no" | "false" | "0") => Ok(false),
            Some(other) => Err(UploadError::Setting {
                message: format!("`{key}` can't be `{}`", other.escape_debug()),
                hint: "write yes or no".to_owned(),
            }),
        }
    }

    /// An address without a slash at its end.
    ///
    /// # Errors
    /// [`UploadError::Setting`] when it is not http:// or https://, or holds a user, a query or a fragment.
    pub fn address(&self, key: &str) -> Result<Option<String>, UploadError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let fits = rest.is_some_and(|rest| {
            !rest.is_empty()
                && !rest.contains(['@', '?', '#', '\\'])
                && rest.chars().all(|it| it.is_ascii_graphic())
        });
        if fits {
            return Ok(Some(text.trim_end_matches('/').to_owned()));
        }
        Err(UploadError::Setting {
            message: format!("`{key}` is not an address"),
            hint: "write https://HOST[:PORT][/PATH], without a user or a password".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[Setting] = &[
        Setting::new("region", &["A_REGION", "B_REGION"], "where").or("here"),
        Setting::new("endpoint", &[], "address"),
    ];

    fn settings(
        given: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Settings, UploadError> {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Settings::new("test", OWN, map(given), Surroundings { variables: map(variables) })
    }

    #[test]
    fn the_command_line_comes_first_then_variables_then_defaults() {
        let region = |given: &[(&str, &str)], variables: &[(&str, &str)]| {
            settings(given, variables).unwrap().get("region").unwrap_or_default()
        };
        assert_eq!(region(&[], &[]), "here");
        assert_eq!(region(&[], &[("A_REGION", ""), ("B_REGION", "b")]), "b");
        assert_eq!(region(&[("region", "c")], &[("A_REGION", "a")]), "c");
        let error = settings(&[("regoin", "c")], &[]).unwrap_err();
        assert!(error.to_string().contains("regoin") && error.hint().unwrap().contains("region"));
        let error = settings(&[], &[]).unwrap().require("endpoint").unwrap_err();
        assert!(error.hint().unwrap().contains("--set endpoint"));
    }

    #[test]
    fn addresses_hold_no_secrets() {
        for (text, fits) in [
            ("https://s3.example.org/", true),
            ("http://127.0.0.1:9000", true),
            ("https://user:word@s3.example.org", false),
            ("ftp://x", false),
            ("https://", false),
            ("https://a b", false),
        ] {
            let settings = settings(&[("endpoint", text)], &[]).unwrap();
            assert_eq!(settings.address("endpoint").is_ok(), fits, "{text}");
        }
    }
}
