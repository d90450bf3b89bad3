//! Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.

use std::sync::OnceLock;

use jiff::Timestamp;
use mailkiln_pin::Archive;

use crate::{Clause, Expected, InRelease, Keyring, Lock, Package, Relations, Release, WantedFile};

/// Reads `bytes` as a lock, and what that lock is written as.
pub fn lock(bytes: &[u8]) {
    if let Ok(lock) = Lock::parse(&String::from_utf8_lossy(bytes)) {
        let again = Lock::parse(&lock.to_string());
        assert!(again.is_ok_and(|again| again == lock), "a lock reads as it was written");
    }
}

/// Reads `bytes` as the list of wanted packages.
pub fn wanted(bytes: &[u8]) {
    let _ = WantedFile::parse(&String::from_utf8_lossy(bytes));
}

/// Reads `bytes` as the file of Debian's security tracker.
pub fn tracker(bytes: &[u8]) {
    crate::audit::fuzz(bytes);
}

/// Reads `bytes` as an armoured certificate.
pub fn keyring(bytes: &[u8]) {
    let _ = Keyring::read(&[(Archive::Debian, bytes)]);
}

/// Reads `bytes` as an `InRelease` and checks it with Debian's keys.
pub fn in_release(bytes: &[u8]) {
    static DEBIAN: OnceLock<Option<Keyring>> = OnceLock::new();
    let Ok(file) = InRelease::parse(bytes) else { return };
    if let Some(keyring) = DEBIAN.get_or_init(|| Keyring::debian().ok()) {
        let expected =
            Expected { archive: Archive::Security, codename: "trixie-security", not_before: None };
        let _ = file.verify(keyring, &expected, Timestamp::UNIX_EPOCH);
    }
}

/// Reads `bytes` as a release file whose signature has been checked.
pub fn release(bytes: &[u8]) {
    let _ = Release::parse(&String::from_utf8_lossy(bytes));
}

/// Reads `bytes` as a `Packages` file, and the relations in it.
pub fn packages(bytes: &[u8]) {
    for package in Package::read_plain(Archive::Debian, bytes).unwrap_or_default() {
        let Relations { depends, pre_depends, provides, conflicts, breaks } = package.relations;
        for relation in [depends, pre_depends, provides, conflicts, breaks] {
            let _ = Clause::parse_all(&relation);
        }
    }
}

/// Reads `bytes` as a `Packages.xz` file.
pub fn packages_xz(bytes: &[u8]) {
    let _ = Package::read_index(Archive::Debian, bytes);
}

/// Reads `bytes` as a field of relations, and what these are written as.
pub fn relations(bytes: &[u8]) {
    let clauses = Clause::parse_all(&String::from_utf8_lossy(bytes)).unwrap_or_default();
    for atom in clauses.iter().flat_map(|clause| &clause.atoms) {
        for other in clauses.iter().flat_map(|clause| &clause.atoms) {
            let _ = other.constraint.as_ref().map(|(_, version)| atom.admits(version));
        }
        assert!(
            crate::Atom::parse(&atom.to_string()).is_ok(),
            "a relation reads as it was written"
        );
    }
}
