//! What the system calls itself: os-release(5).
//!
//! In: Debian's `os-release` and the image's version. Out: ours, which stays recognisable as
//! Debian 13 (`ID_LIKE`, `VERSION_ID`, `VERSION_CODENAME`), because scanners look up security
//! advisories by these.

use crate::draft::{Draft, FixupError};

const OS_RELEASE: &str = "usr/lib/os-release";
const ISSUE: &str = "Mailkiln \\n \\l\n";

/// The image's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `IMAGE_VERSION`: what tells two builds apart for a human; no clock in it.
    pub version: String,
    /// `VARIANT_ID`: the board or cloud that it was built for.
    pub variant: String,
}

/// Replaces os-release, `/etc/issue` and `/etc/issue.net`.
pub(crate) fn write(draft: &mut Draft<'_>, identity: &Identity) -> Result<(), FixupError> {
    let debian = draft.required_text(OS_RELEASE, "the system's identity")?;
    draft.write(OS_RELEASE, os_release(&debian, identity)?.into_bytes(), 0o644)?;
    draft.link("etc/os-release", "../usr/lib/os-release")?;
    draft.write("etc/issue", ISSUE.as_bytes(), 0o644)?;
    draft.write("etc/issue.net", *b"Mailkiln\n", 0o644)
}

fn os_release(debian: &str, identity: &Identity) -> Result<String, FixupError> {
    let value = |key: &str| {
        let line = debian.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let value = line.map(|value| value.trim_matches(['"', '\'']).to_owned());
        value.filter(|value| is_plain(value)).ok_or_else(|| FixupError::Malformed {
            path: format!("/{OS_RELEASE}"),
            line: 1,
            why: format!("it has no usable {key}, as os-release(5) wants it"),
        })
    };
    let Identity { version, variant } = identity;
    if let Some(wrong) = [version, variant].into_iter().find(|value| !is_plain(value)) {
        return Err(FixupError::Malformed {
            path: format!("/{OS_RELEASE}"),
            line: 1,
            why: format!("`{}` can't be an image's version or variant", wrong.escape_debug()),
        });
    }
    let (number, codename) = (value("VERSION_ID")?, value("VERSION_CODENAME")?);
    Ok(format!(
        "PRETTY_NAME=\"Mailkiln {version} (Debian {number})\"\n\
         NAME=\"Mailkiln\"\n\
         ID=mailkiln\n\
         ID_LIKE=debian\n\
         VERSION_ID=\"{number}\"\n\
         VERSION_CODENAME={codename}\n\
         IMAGE_ID=mailkiln\n\
         IMAGE_VERSION={version}\n\
         VARIANT_ID={variant}\n\
         HOME_URL=\"https://github.com/mailkiln/mailkiln\"\n"
    ))
}

/// Whether a value needs no quoting: os-release(5), IMAGE_VERSION.
fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '+');
    !value.is_empty() && value.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_identity_becomes_ours_and_stays_debian_like() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\n\
                      VERSION_CODENAME=trixie\nID=debian\n";
        let identity = |version: &str, variant: &str| Identity {
            version: version.to_owned(),
            variant: variant.to_owned(),
        };
        let ours = os_release(debian, &identity("0.1.0", "rpi3")).unwrap();
        for line in [
            "ID=mailkiln",
            "VARIANT_ID=rpi3",
            "ID_LIKE=debian",
            "VERSION_ID=\"13\"",
            "IMAGE_VERSION=0.1.0",
        ] {
            assert!(ours.lines().any(|candidate| candidate == line), "{line} in {ours}");
        }
        assert!(os_release("ID=debian\n", &identity("1", "x")).is_err());
        assert!(os_release(debian, &identity("1\nID=x", "x")).is_err());
        assert!(os_release(debian, &identity("1", "x y")).is_err());
    }
}
