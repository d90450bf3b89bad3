//! Package URLs: `pkg:deb/debian/curl@8.14.1-2?arch=amd64&distro=debian-13`.
//!
//! In: name, version, architecture. Out: the URL. Source: the purl specification and its types
//! `deb`, `cargo` and `npm`.

/// A Debian package; `release` is the number of the release.
pub(super) fn debian(name: &str, version: &str, architecture: &str, release: &str) -> String {
    let (name, version) = (escape(name), escape(version));
    format!("pkg:deb/debian/{name}@{version}?arch={architecture}&distro=debian-{release}")
}

/// A crate.
pub(super) fn krate(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", escape(name), escape(version))
}

/// A package of npm without a scope.
pub(super) fn npm(name: &str, version: &str) -> String {
    format!("pkg:npm/{}@{}", escape(name), escape(version))
}

/// Percent-encodes all but RFC 3986's unreserved characters and `:`, which purl leaves alone.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pluses_are_encoded_and_colons_are_not() {
        assert_eq!(
            debian("libstdc++6", "1:14.2+x~1", "amd64", "13"),
            "pkg:deb/debian/libstdc%2B%2B6@1:14.2%2Bx~1?arch=amd64&distro=debian-13"
        );
        assert_eq!(npm("squire-rte", "2.4.8"), "pkg:npm/squire-rte@2.4.8");
        assert_eq!(krate("zstd-sys", "2.0+zstd.1"), "pkg:cargo/zstd-sys@2.0%2Bzstd.1");
    }
}
