//! The image that is uploaded, and what its name and tags say.

use std::path::PathBuf;

use mailkiln_pin::{Arch, Sha256};

/// How many digits of the digest a name has.
const DIGITS: usize = 12;

/// An image file and what is known of it.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its digest: what an upload is known by.
    pub sha256: Sha256,
    /// Bytes of the disk in it.
    pub disk_size: u64,
    /// The name of its format, as `mailkiln build --format` takes it.
    pub format: &'static str,
    /// How files of its format end.
    pub suffix: &'static str,
    /// Host name and target: the file's name without its ending. Images with the same name replace each other.
    pub name: String,
    /// The machine it is for.
    pub arch: Arch,
    /// The version of what is in it; empty when no bill of materials says.
    pub version: String,
    /// The moment of the lock that it was built from, as `2026-11-21T02:10:46Z`; empty when no bill says.
    pub lock_time: String,
}

impl Artifact {
    /// The name in the cloud: `mail-example-org-aws-x86-64-20261121-0123456789ab`. Lower-case letters, digits
    /// and hyphens, which every cloud takes, and at most 63 characters (Google Compute Engine, RFC 1035).
    pub fn remote_name(&self) -> String {
        let tail = format!("-{}{}", self.date(), self.short_digest());
        let mut name = self.base_name();
        name.truncate(63 - tail.len());
        format!("{}{tail}", name.trim_end_matches('-'))
    }

    /// What all versions of this image have in common in their names.
    pub fn base_name(&self) -> String {
        plain(&self.name)
    }

    /// The first digits of the digest.
    pub fn short_digest(&self) -> String {
        let mut digits = self.sha256.to_string();
        digits.truncate(DIGITS);
        digits
    }

    /// `20261121-`, or nothing.
    fn date(&self) -> String {
        let date: String = self.lock_time.chars().take(10).filter(char::is_ascii_digit).collect();
        if date.len() == 8 { format!("{date}-") } else { String::new() }
    }

    /// The tags, sorted: key and value.
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        vec![
            ("mailkiln-lock-time", self.lock_time.clone()),
            ("mailkiln-name", self.name.clone()),
            ("mailkiln-sha256", self.sha256.to_string()),
            ("mailkiln-version", self.version.clone()),
        ]
    }

    /// One line for descriptions.
    pub fn description(&self) -> String {
        let version = if self.version.is_empty() { "of unknown version" } else { &self.version };
        format!("{} {version}, sha256:{}", self.name, self.sha256)
    }

    /// Whole GiB that the disk needs.
    pub fn disk_gib(&self) -> u64 {
        self.disk_size.div_ceil(1 << 30).max(1)
    }
}

/// Lower-case letters, digits and single hyphens, beginning with a letter.
pub fn plain(name: &str) -> String {
    let mut plain = String::new();
    for char in name.chars() {
        match char.to_ascii_lowercase() {
            char if char.is_ascii_alphanumeric() => plain.push(char),
            _ if plain.ends_with('-') || plain.is_empty() => {}
            _ => plain.push('-'),
        }
    }
    let plain = plain.trim_end_matches('-');
    match plain.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => plain.to_owned(),
        _ => format!("image-{plain}").trim_end_matches('-').to_owned(),
    }
}

/// For tests: an image of `bytes` in a folder.
#[cfg(test)]
pub(crate) fn sample(folder: &std::path::Path, bytes: &[u8]) -> Artifact {
    let path = folder.join("mail.example.org-test-x86_64.img");
    std::fs::write(&path, bytes).unwrap();
    Artifact {
        path,
        size: bytes.len() as u64,
        sha256: Sha256::of(bytes),
        disk_size: bytes.len() as u64,
        format: "img",
        suffix: "img",
        name: "mail.example.org-test-x86_64".to_owned(),
        arch: Arch::X86_64,
        version: "0.1.0-20261121".to_owned(),
        lock_time: "2026-11-21T02:10:46Z".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_every_cloud() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = sample(folder.path(), b"disk");
        let digest = &image.sha256.to_string()[..12];
        assert_eq!(image.remote_name(), format!("mail-example-org-test-x86-64-20261121-{digest}"));
        image.lock_time.clear();
        image.name = format!("{}.example.org-aws-x86_64", "a".repeat(60));
        let name = image.remote_name();
        assert_eq!(name.len(), 63);
        assert!(name.ends_with(&format!("a-{digest}")), "{name}");
        for (name, expected) in
            [("", "image"), ("4you", "image-4you"), ("Ä.b__C-", "b-c"), ("--", "image")]
        {
            assert_eq!(plain(name), expected);
        }
    }
}
