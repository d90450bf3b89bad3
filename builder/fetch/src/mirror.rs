//! Where packages are asked for: base addresses of the two Debian archives, best first.
//!
//! In: what the user said, `mail.toml`, apt's configuration and the lock's archive of old
//! packages. Out: [`Mirrors`]. No address is known to this program by itself. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use mailkiln_pin::Archive;

/// Base address of one archive: a file is at base + `/` + pool path.
#[derive(Clone, PartialEq, Eq)]
pub struct Base {
    /// Without a slash at the end. May hold credentials.
    address: String,
}

/// Schemes that files can be had by.
const SCHEMES: [&str; 3] = ["http://", "https://", "file:///"];

impl Base {
    /// Takes an `http://`, `https://` or `file://` address.
    ///
    /// # Errors
    ///
    /// [`MirrorError::Address`] for anything else.
    pub fn parse(text: &str) -> Result<Self, MirrorError> {
        let text = text.trim().trim_end_matches('/');
        // apt writes local folders as file:/path as well.
        let address = match text.strip_prefix("file:/") {
            Some(path) if !path.starts_with('/') => format!("file:///{path}"),
            _ => text.to_owned(),
        };
        let plain = address.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>".contains(&b));
        let named = SCHEMES
            .into_iter()
            .any(|scheme| address.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if plain && named && address.len() <= 1000 {
            Ok(Self { address })
        } else {
            Err(MirrorError::Address { address: text.escape_debug().take(200).collect() })
        }
    }

    /// A folder of this machine, whatever characters its path has.
    ///
    /// # Errors
    ///
    /// [`MirrorError::Address`] unless the path is absolute, and text without control characters.
    pub fn folder(path: &Path) -> Result<Self, MirrorError> {
        match path.to_str().filter(|text| text.starts_with('/') && !text.contains(char::is_control))
        {
            Some(text) => Ok(Self { address: format!("file://{}", text.trim_end_matches('/')) }),
            None => {
                let shown = path.to_string_lossy().escape_debug().take(200).collect();
                Err(MirrorError::Address { address: shown })
            }
        }
    }

    /// The full address of a file.
    pub fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

impl fmt::Display for Base {
    /// The address without its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_credentials(&self.address))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base({self})")
    }
}

/// `https://user:secret@host/x` → `https://host/x`.
pub(crate) fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Addresses of both archives, in the order that they are tried in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    bases: Vec<(Archive, Base)>,
}

impl Mirrors {
    /// Adds what a person wrote after `--mirror`, in `MAILKILN_MIRROR` or in `mail.toml`. It is
    ///
    /// - an address with `{archive}` in it, which stands for `debian` or `debian-security`,
    /// - the address of the main archive, ending in `debian`, beside which `debian-security` lies
    ///   (or the reverse), or
    /// - the folder that holds both.
    pub fn add(&mut self, address: &str) -> Result<(), MirrorError> {
        for archive in Archive::ALL {
            self.push(archive, Base::parse(&address_of(address, archive))?);
        }
        Ok(())
    }

    /// Adds the mirrors of apt's configuration (see [`crate::read_apt_sources`]). An archive that
    /// it does not name is looked for beside the one that it does.
    pub fn add_apt(&mut self, sources: &[(Archive, Base)]) {
        for (archive, base) in sources {
            self.push(*archive, base.clone());
        }
        for archive in Archive::ALL {
            if sources.iter().any(|(named, _)| *named == archive) {
                continue;
            }
            for (other, base) in sources {
                let sibling = base.address.strip_suffix(other.folder());
                if let Some(parent) = sibling.filter(|parent| parent.ends_with('/')) {
                    let address = format!("{parent}{}", archive.folder());
                    self.push(archive, Base { address });
                }
            }
        }
    }

    /// Adds an archive that keeps old packages. `times` are written into its template, which has
    /// `{archive}` and `{time}`, in the form `20260102T030405Z`.
    pub fn add_snapshot(&mut self, template: &str, times: &[String]) -> Result<(), MirrorError> {
        for time in times {
            self.add(&template.replace("{time}", time))?;
        }
        Ok(())
    }

    /// The bases of an archive, best first.
    pub fn bases(&self, archive: Archive) -> impl Iterator<Item = &Base> {
        self.bases.iter().filter(move |(of, _)| *of == archive).map(|(_, base)| base)
    }

    fn push(&mut self, archive: Archive, base: Base) {
        let entry = (archive, base);
        if !self.bases.contains(&entry) {
            self.bases.push(entry);
        }
    }
}

fn address_of(address: &str, archive: Archive) -> String {
    if address.contains("{archive}") {
        return address.replace("{archive}", archive.folder());
    }
    let address = address.trim().trim_end_matches('/');
    let parent = Archive::ALL
        .into_iter()
        .filter_map(|named| address.strip_suffix(named.folder()))
        .find(|parent| parent.ends_with('/'))
        .unwrap_or(address);
    format!("{}/{}", parent.trim_end_matches('/'), archive.folder())
}

/// An address or a configuration that names no mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Not an address that files can be had from.
    #[error(
        "`{address}` is not a mirror URL; use http://, https:// or file:///, such as file:///srv/debian"
    )]
    Address {
        /// What was written.
        address: String,
    },
    /// An apt configuration file that can't be read.
    #[error("can't read apt's {path}: {reason}; fix it, or pass --mirror")]
    Apt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mirrors: &Mirrors) -> Vec<String> {
        let of = |archive| mirrors.bases(archive).map(move |base| format!("{archive} {base}"));
        Archive::ALL.into_iter().flat_map(of).collect()
    }

    #[test]
    fn both_archives_follow_from_one_address() {
        let both = [
            "debian http://m.example/x/debian",
            "debian-security http://m.example/x/debian-security",
        ];
        for address in [
            "http://m.example/x/debian",
            "http://m.example/x/debian/",
            "http://m.example/x/debian-security",
            "http://m.example/x",
            "http://m.example/x/{archive}",
        ] {
            let mut mirrors = Mirrors::default();
            mirrors.add(address).unwrap();
            assert_eq!(shown(&mirrors), both, "{address}");
        }
        let mut mirrors = Mirrors::default();
        mirrors.add("file:///srv/my-debian").unwrap();
        assert_eq!(
            shown(&mirrors),
            [
                "debian file:///srv/my-debian/debian",
                "debian-security file:///srv/my-debian/debian-security"
            ]
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "m.example",
            "ftp://m.example/debian",
            "http://",
            "file://x",
            "http://a b",
            "http://a/?x",
            "http://a/\u{1b}[31m",
        ] {
            assert!(Base::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn apts_mirrors_come_in_order_and_siblings_last() {
        let base = |text| Base::parse(text).unwrap();
        let mut mirrors = Mirrors::default();
        mirrors.add_apt(&[
            (Archive::Debian, base("http://a.example/debian")),
            (Archive::Debian, base("http://b.example/deb")),
        ]);
        assert_eq!(
            shown(&mirrors),
            [
                "debian http://a.example/debian",
                "debian http://b.example/deb",
                "debian-security http://a.example/debian-security"
            ]
        );
    }

    #[test]
    fn a_snapshot_archive_is_asked_at_each_time() {
        let mut mirrors = Mirrors::default();
        mirrors
            .add_snapshot(
                "https://s.example/{archive}/{time}/",
                &["1Z".to_owned(), "2Z".to_owned()],
            )
            .unwrap();
        let found: Vec<_> = mirrors.bases(Archive::Security).map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["https://s.example/debian-security/1Z", "https://s.example/debian-security/2Z"]
        );
    }

    #[test]
    fn credentials_are_used_but_never_shown() {
        let base = Base::parse("https://user:secret@m.example/debian").unwrap();
        assert_eq!(base.join("x"), "https://user:secret@m.example/debian/x");
        assert_eq!(base.to_string(), "https://m.example/debian");
        assert!(!format!("{base:?}").contains("secret"));
    }
}
