//! Which locked packages have holes that the distribution knows of.
//!
//! In: a lock, and the JSON of Debian's security tracker: source package → CVE → release → status. Out:
//! findings, sorted. Pure: where the tracker's file comes from, and how old it is, is the caller's
//! concern. Source of the format: <https://security-tracker.debian.org/tracker/data/json>, described
//! at <https://security-team.debian.org/security_tracker.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use debversion::Version;
use mailkiln_pin::Pin;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::Lock;

/// A hole in something that the lock names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The source package.
    pub source: String,
    /// `CVE-2026-1234`.
    pub hole: String,
    /// The locked version, of the first of [`Self::packages`].
    pub version: String,
    /// Locked packages that are made from the source, sorted.
    pub packages: Vec<String>,
    /// The version that has no such hole; `None` while the distribution has none.
    pub fixed: Option<String>,
    /// How urgent the distribution finds it: `low`, `medium`, `high`, `not yet assigned`.
    pub urgency: String,
}

/// Why the tracker's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not its JSON.
    #[error("this is not the JSON of Debian's security tracker: {0}")]
    Format(#[from] serde_json::Error),
    /// It says nothing of any locked package: another distribution's, or an empty one.
    #[error("the security tracker's file knows none of the lock's packages")]
    Foreign,
    /// A locked version is none.
    #[error("the locked version {version} of {package} cannot be compared")]
    Version {
        /// The package.
        package: String,
        /// Its version.
        version: String,
    },
}

/// One source package as the lock has it.
struct Locked<'a> {
    version: &'a str,
    packages: BTreeSet<&'a str>,
}

/// What the tracker says of one hole in one release.
#[derive(Debug, Clone, Default, Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
}

/// A hole, by release.
#[derive(Debug, Clone, Default, Deserialize)]
struct Hole {
    #[serde(default)]
    releases: BTreeMap<String, Status>,
}

/// Looks for the lock's packages in the tracker's `json`.
///
/// # Errors
/// [`AuditError`].
pub fn audit(lock: &Lock, json: &[u8]) -> Result<Vec<Finding>, AuditError> {
    let locked = sources(lock);
    let wanted = locked.keys().map(|(source, _)| *source).collect();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let known = Wanted(&wanted).deserialize(&mut deserializer)?;
    deserializer.end()?;
    if known.is_empty() {
        return Err(AuditError::Foreign);
    }
    let release = release(lock);
    let mut findings = Vec::new();
    for ((source, version), locked) in &locked {
        let parsed = parse(version, source)?;
        for (name, hole) in known.get(*source).into_iter().flatten() {
            let Some(found) = judge(hole, &release, &parsed) else { continue };
            findings.push(Finding {
                source: (*source).to_owned(),
                hole: name.clone(),
                version: locked.version.to_owned(),
                packages: locked.packages.iter().map(|&it| it.to_owned()).collect(),
                fixed: found.0,
                urgency: found.1,
            });
        }
    }
    findings.sort();
    Ok(findings)
}

/// Source packages of the lock's Debian packages, by source and version.
fn sources(lock: &Lock) -> BTreeMap<(&str, &str), Locked<'_>> {
    let mut sources = BTreeMap::new();
    for pin in lock.sets().flat_map(|(_, _, pins)| pins) {
        let Some(source) = source(pin) else { continue };
        let version = pin.version.as_str();
        let entry = sources
            .entry((source, version))
            .or_insert_with(|| Locked { version, packages: BTreeSet::new() });
        entry.packages.insert(pin.name.as_str());
    }
    sources
}

/// The source package, which names the folder of the pool: `pool/main/o/openssl/libssl3t64_….deb`.
fn source(pin: &Pin) -> Option<&str> {
    pin.path.path().strip_prefix("pool/")?.rsplit('/').nth(1)
}

/// The codename: `trixie` of `trixie`, `trixie-security`, `trixie-updates`.
fn release(lock: &Lock) -> String {
    let plain = lock.suites.iter().map(|suite| suite.name.as_str()).min_by_key(|name| name.len());
    plain.unwrap_or_default().split('-').next().unwrap_or_default().to_owned()
}

/// What is wrong with `version` by a hole: the version without it, and how urgent it is.
fn judge(hole: &Hole, release: &str, version: &Version) -> Option<(Option<String>, String)> {
    let here = hole.releases.get(release)?;
    let is_before = |fixed: &str| fixed.parse::<Version>().is_ok_and(|fixed| *version < fixed);
    match (here.status.as_str(), &here.fixed_version) {
        // `0` says that the release never had it.
        ("resolved", Some(fixed)) if fixed != "0" && is_before(fixed) => {
            Some((Some(fixed.clone()), here.urgency.clone()))
        }
        ("open" | "undetermined", _) => {
            // A backport is newer than its release, and may have what only later ones have.
            let later = hole.releases.values().filter(|it| it.status == "resolved");
            let mut fixed = later.filter_map(|it| it.fixed_version.as_deref());
            let is_fixed = fixed.any(|fixed| fixed != "0" && !is_before(fixed));
            (!is_fixed).then(|| (None, here.urgency.clone()))
        }
        _ => None,
    }
}

/// A version as the source has it: packages that were only built again have `+b1` at the end, which
/// sorts after it and changes no verdict.
fn parse(version: &str, package: &str) -> Result<Version, AuditError> {
    version.parse().map_err(|_| AuditError::Version {
        package: package.to_owned(),
        version: version.to_owned(),
    })
}

/// Reads of the tracker's 60 MB only the packages in here.
struct Wanted<'a>(&'a BTreeSet<&'a str>);

type Known = BTreeMap<String, BTreeMap<String, Hole>>;

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Known;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Known, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Known, A::Error> {
        let mut known = Known::new();
        while let Some(source) = map.next_key::<String>()? {
            if self.0.contains(source.as_str()) {
                known.insert(source, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(known)
    }
}

/// Reads `json` as the tracker's file, for fuzzing.
pub(crate) fn fuzz(json: &[u8]) {
    let wanted = BTreeSet::from(["openssl"]);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    if let (Ok(known), Ok(version)) =
        (Wanted(&wanted).deserialize(&mut deserializer), "1.0-1".parse())
    {
        for hole in known.values().flat_map(BTreeMap::values) {
            let _ = judge(hole, "trixie", &version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(text: &str) -> Hole {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_the_tracker_says_of_a_version() {
        let resolved = r#"{"releases": {"trixie":
            {"status": "resolved", "fixed_version": "3.5.1-1+deb13u2", "urgency": "high"}}}"#;
        let never = r#"{"releases": {"trixie":
            {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}}}"#;
        let open = r#"{"description": "x", "scope": "remote", "releases": {
            "trixie": {"status": "open", "urgency": "low", "nodsa": "Minor issue"},
            "sid": {"status": "resolved", "fixed_version": "3.6.0-1", "urgency": "low"}}}"#;
        let elsewhere = r#"{"releases": {"bookworm": {"status": "open", "urgency": "high"}}}"#;
        for (text, version, expected) in [
            (resolved, "3.5.1-1+deb13u1", Some((Some("3.5.1-1+deb13u2"), "high"))),
            (resolved, "3.5.1-1+deb13u2", None),
            (resolved, "3.5.1-1+deb13u2+b1", None),
            (resolved, "1:1.0-1", None),
            (never, "1.0-1", None),
            (open, "3.5.1-1+deb13u2", Some((None, "low"))),
            // A backport of what later releases have.
            (open, "3.6.0-1~bpo13+1", Some((None, "low"))),
            (open, "3.6.0-2~bpo13+1", None),
            (elsewhere, "1.0-1", None),
            ("{}", "1.0-1", None),
        ] {
            let found = judge(&hole(text), "trixie", &version.parse().unwrap());
            let expected =
                expected.map(|(fixed, urgency)| (fixed.map(str::to_owned), urgency.to_owned()));
            assert_eq!(found, expected, "{version}: {text}");
        }
    }

    fn own() -> Lock {
        Lock::parse(include_str!("../../../mailkiln.lock")).unwrap()
    }

    #[test]
    fn the_projects_own_lock_is_looked_up_by_source() {
        let lock = own();
        assert_eq!(release(&lock), "trixie");
        let sources = sources(&lock);
        let names: BTreeSet<&str> = sources.keys().map(|(source, _)| *source).collect();
        assert!(names.contains("systemd") && names.contains("openssl"), "{names:?}");
        let (_, systemd) = sources.iter().find(|((name, _), _)| *name == "systemd").unwrap();
        assert!(systemd.packages.contains("udev"), "{:?}", systemd.packages);
        let json = br#"{"nobodys": {"CVE-1": 7}, "systemd": {"CVE-2026-1": {"releases": {"trixie":
            {"status": "resolved", "fixed_version": "999-1", "urgency": "medium"}}}}}"#;
        let findings = audit(&lock, json).unwrap();
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!(
            (finding.hole.as_str(), finding.fixed.as_deref()),
            ("CVE-2026-1", Some("999-1"))
        );
        assert!(finding.packages.contains(&"systemd".to_owned()));
    }

    #[test]
    fn a_file_that_is_not_the_trackers_is_refused() {
        let lock = own();
        assert!(matches!(audit(&lock, b"<html>"), Err(AuditError::Format(_))));
        assert!(matches!(audit(&lock, b"{}"), Err(AuditError::Foreign)));
        assert!(matches!(audit(&lock, br#"{"systemd": []}"#), Err(AuditError::Format(_))));
        assert!(matches!(audit(&lock, b"{\"a\": {}} trailing"), Err(AuditError::Format(_))));
    }
}
