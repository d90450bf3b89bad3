//! `mailkiln.lock`: everything that may enter an image, by digest.
//!
//! In: the file's text, or a [`Lock`] that was solved. Out: a [`Lock`], or text that is sorted,
//! has one line for each package, and says the same for the same lock on every machine. Pure.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use mailkiln_pin::{
    Arch, Archive, PackageArch, PackageName, PackageVersion, Pin, PoolPath, Sha256,
};
use serde::{Deserialize, Serialize};

use crate::{Component, LockError};

/// The only version of the format so far.
const VERSION: u32 = 1;

/// Largest lock file read, in bytes; a real one is a tenth of this.
const MAX_BYTES: usize = 4 << 20;

/// A whole lock: where the pins were read, the packages by set, the components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The moment that the lock describes: the newest date among the suites.
    pub snapshot: Timestamp,
    /// Template of an archive that keeps every package for ever, with `{archive}` and `{time}`.
    /// Asked last, when no mirror has a package.
    pub snapshot_archive: Option<String>,
    /// The signed indexes that the packages were chosen from.
    pub suites: Vec<Suite>,
    /// The programs that are not packages.
    pub components: Vec<Component>,
    sets: BTreeMap<(SetName, Arch), Vec<Pin>>,
}

/// A named group of packages: `image`, `kernel`, `ssh`, `boot`, `toolchain`, `cross`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct SetName(pub String);

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A suite as it was when the lock was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Suite {
    /// The codename that stands in its signed release: `trixie-security`.
    pub name: String,
    /// The archive that carries it.
    pub archive: Archive,
    /// When the archive signed it.
    pub date: Timestamp,
    /// Digest of `InRelease`, signature included.
    pub inrelease: Sha256,
    /// Fingerprint of the primary key that signed it, upper-case hex.
    pub signed_by: String,
    /// The package indexes that were read, sorted by path.
    pub indexes: Vec<Index>,
}

/// One package index of a suite.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Path below the suite: `main/binary-amd64/Packages.xz`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest.
    pub sha256: Sha256,
}

impl Lock {
    /// Reads a lock file. A lock that parses is whole: versions, paths and digests are well formed,
    /// and no package is pinned twice for one machine.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if text.len() > MAX_BYTES {
            return Err(LockError::TooLarge { limit: MAX_BYTES });
        }
        let version: OnlyVersion = toml::from_str(text).map_err(LockError::syntax)?;
        if version.version != VERSION {
            return Err(LockError::Version { found: version.version, known: VERSION });
        }
        let file: File = toml::from_str(text).map_err(LockError::syntax)?;
        let mut packages = Vec::with_capacity(file.packages.len());
        for (key, entry) in file.packages {
            packages.push(entry.into_pin(&key)?);
        }
        let mut sets = BTreeMap::<_, Vec<Pin>>::new();
        for (pin, names) in packages {
            for name in names {
                let place = parse_set(&name)
                    .ok_or_else(|| LockError::Set { package: pin.name.to_string(), set: name })?;
                sets.entry(place).or_default().push(pin.clone());
            }
        }
        Self::new(file.snapshot, file.snapshot_archive, file.suite, file.component, sets)
    }

    /// Puts a lock together, in the order that the file has.
    pub fn new(
        snapshot: Timestamp,
        snapshot_archive: Option<String>,
        mut suites: Vec<Suite>,
        mut components: Vec<Component>,
        mut sets: BTreeMap<(SetName, Arch), Vec<Pin>>,
    ) -> Result<Self, LockError> {
        suites.sort_by(|a, b| (a.archive, &a.name).cmp(&(b.archive, &b.name)));
        suites.iter_mut().for_each(|suite| suite.indexes.sort());
        components.sort_by(|a, b| a.name.cmp(&b.name));
        for component in &components {
            component.check()?;
        }
        if let Some(twice) = components.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(LockError::Component {
                name: twice[0].name.clone(),
                what: "it is listed twice".to_owned(),
            });
        }
        sets.values_mut().for_each(|pins| {
            pins.sort();
            pins.dedup();
        });
        let mut seen = BTreeMap::new();
        for pins in sets.values() {
            // Sorted by name, so two of a name are neighbours.
            let same =
                |pair: &&[Pin]| (&pair[0].name, pair[0].arch) == (&pair[1].name, pair[1].arch);
            let mut twice = pins.windows(2).filter(same).map(|pair| &pair[0]);
            // One line of the file holds a package for all sets, so they have to agree.
            let mut differs =
                pins.iter().filter(|pin| *seen.entry(line_of(pin)).or_insert(*pin) != *pin);
            if let Some(pin) = twice.next().or_else(|| differs.next()) {
                return Err(LockError::Twice { package: pin.name.to_string() });
            }
        }
        Ok(Self { snapshot, snapshot_archive, suites, components, sets })
    }

    /// The packages of a set for one machine, sorted by name. For `toolchain` and `cross` the
    /// machine is the one that compiles, for all others the one that the image is for.
    ///
    /// # Errors
    ///
    /// [`LockError::NoSuchSet`] when the lock has no such set.
    pub fn packages(&self, set: &str, arch: Arch) -> Result<&[Pin], LockError> {
        self.sets
            .get(&(SetName(set.to_owned()), arch))
            .map(Vec::as_slice)
            .ok_or_else(|| LockError::NoSuchSet { set: set.to_owned(), arch })
    }

    /// Every set with its machine and packages, sorted.
    pub fn sets(&self) -> impl Iterator<Item = (&SetName, Arch, &[Pin])> {
        self.sets.iter().map(|((name, arch), pins)| (name, *arch, pins.as_slice()))
    }

    /// The pin of a component.
    ///
    /// # Errors
    ///
    /// [`LockError::NoSuchComponent`] when the lock has none of that name.
    pub fn component(&self, name: &str) -> Result<&Component, LockError> {
        self.components
            .iter()
            .find(|component| component.name == name)
            .ok_or_else(|| LockError::NoSuchComponent { name: name.to_owned() })
    }

    /// Every digest that the lock names: what a cache must keep for it.
    pub fn digests(&self) -> impl Iterator<Item = Sha256> {
        let packages = self.sets.values().flatten().map(|pin| pin.sha256);
        let files = self.components.iter().flat_map(Component::digests);
        let indexes = self.suites.iter().flat_map(|suite| &suite.indexes).map(|index| index.sha256);
        packages.chain(files).chain(indexes)
    }

    /// Times at which the archive of old packages surely has the lock's, in its own notation. A
    /// day later first: the archive copies a release some hours after it was signed, and a package
    /// that was superseded meanwhile is still in the pool then.
    pub fn snapshot_times(&self) -> Vec<String> {
        let later = self.snapshot.checked_add(SignedDuration::from_hours(24)).ok();
        let times = later.into_iter().chain([self.snapshot]);
        times.map(|time| time.to_string().replace(['-', ':'], "")).collect()
    }

    /// Digest of the lock's text: what an image says it was made from.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_string().as_bytes())
    }
}

/// Read first, so that a lock of a later format is refused for its version, not for its fields.
#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    snapshot: Timestamp,
    snapshot_archive: Option<String>,
    #[serde(default)]
    suite: Vec<Suite>,
    #[serde(default)]
    component: Vec<Component>,
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

/// Written as `[[component]]` tables.
#[derive(Serialize)]
struct Components<'a> {
    component: &'a [Component],
}

/// A line of `[packages]`; its key is `name:architecture`, with `=version` behind it where another
/// version of the package is pinned too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: PackageVersion,
    size: u64,
    sha256: Sha256,
    path: PoolPath,
    sets: Vec<String>,
}

impl Entry {
    fn into_pin(self, key: &str) -> Result<(Pin, Vec<String>), LockError> {
        let wrong = |source| LockError::Package { key: key.to_owned(), source };
        let (name, rest) = key.split_once(':').unwrap_or((key, ""));
        let (arch, version) = rest.split_once('=').unwrap_or((rest, self.version.as_str()));
        if version != self.version.as_str() {
            return Err(LockError::OtherVersion { key: key.to_owned() });
        }
        let pin = Pin {
            name: name.parse().map_err(wrong)?,
            arch: arch.parse().map_err(wrong)?,
            version: self.version,
            size: self.size,
            sha256: self.sha256,
            path: self.path,
        };
        Ok((pin, self.sets))
    }
}

/// What tells the lines of `[packages]` from each other.
type Line<'a> = (&'a PackageName, PackageArch, &'a PackageVersion);

fn line_of(pin: &Pin) -> Line<'_> {
    (&pin.name, pin.arch, &pin.version)
}

/// `image-x86_64` → (`image`, x86_64).
fn parse_set(text: &str) -> Option<(SetName, Arch)> {
    Arch::ALL.into_iter().find_map(|arch| {
        let name = text.strip_suffix(arch.gnu())?.strip_suffix('-')?;
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        plain.then(|| (SetName(name.to_owned()), arch))
    })
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "# Everything that may enter an image, by digest. Made by `mailkiln lock` from signed\n\
             # indexes: review it, don't edit it.\n",
        )?;
        writeln!(f, "version = {VERSION}\nsnapshot = {}", quoted(&self.snapshot.to_string()))?;
        if let Some(template) = &self.snapshot_archive {
            writeln!(f, "snapshot-archive = {}", quoted(template))?;
        }
        self.suites.iter().try_for_each(|suite| write_suite(f, suite))?;
        if !self.components.is_empty() {
            let components = Components { component: &self.components };
            write!(f, "\n{}", toml::to_string(&components).map_err(|_| fmt::Error)?)?;
        }
        self.write_packages(f)
    }
}

impl Lock {
    fn write_packages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = BTreeMap::<Line<'_>, (&Pin, Vec<String>)>::new();
        for ((name, arch), pins) in &self.sets {
            for pin in pins {
                let line = lines.entry(line_of(pin)).or_insert((pin, Vec::new()));
                line.1.push(quoted(&format!("{name}-{arch}")));
            }
        }
        let mut versions = BTreeMap::<(&PackageName, PackageArch), u32>::new();
        lines.keys().for_each(|(name, arch, _)| *versions.entry((name, *arch)).or_default() += 1);
        f.write_str("\n[packages]\n")?;
        for (pin, sets) in lines.values() {
            let key = match versions.get(&(&pin.name, pin.arch)) {
                Some(1) => format!("{}:{}", pin.name, pin.arch),
                _ => format!("{}:{}={}", pin.name, pin.arch, pin.version),
            };
            writeln!(
                f,
                "{} = {{ version = {}, size = {}, sha256 = {}, path = {}, sets = [{}] }}",
                quoted(&key),
                quoted(pin.version.as_str()),
                pin.size,
                quoted(&pin.sha256.to_string()),
                quoted(&pin.path.to_string()),
                sets.join(", "),
            )?;
        }
        Ok(())
    }
}

fn write_suite(f: &mut fmt::Formatter<'_>, suite: &Suite) -> fmt::Result {
    writeln!(
        f,
        "\n[[suite]]\nname = {}\narchive = {}\ndate = {}\ninrelease = {}\nsigned-by = {}\nindexes = [",
        quoted(&suite.name),
        quoted(suite.archive.folder()),
        quoted(&suite.date.to_string()),
        quoted(&suite.inrelease.to_string()),
        quoted(&suite.signed_by),
    )?;
    for index in &suite.indexes {
        writeln!(
            f,
            "  {{ path = {}, size = {}, sha256 = {} }},",
            quoted(&index.path),
            index.size,
            quoted(&index.sha256.to_string()),
        )?;
    }
    f.write_str("]\n")
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"# Everything that may enter an image, by digest. Made by `mailkiln lock` from signed
# indexes: review it, don't edit it.
version = 1
snapshot = "2026-01-02T03:04:05Z"
snapshot-archive = "https://snapshot.example/{archive}/{time}"

[[suite]]
name = "trixie"
archive = "debian"
date = "2026-01-02T03:04:05Z"
inrelease = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
signed-by = "41587F7DB8C774BCCF131416762F67A0B2C39DE4"
indexes = [
  { path = "main/binary-amd64/Packages.xz", size = 7, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
]

[[component]]
name = "init"
kind = "workspace"
directory = "units/init"
cargo-lock = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[[component]]
name = "mail-server"
kind = "crate"
directory = "units/mail-server"
cargo-lock = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[component.upstream]
name = "server"
version = "1.0.0"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[[component.patches]]
path = "patches/0001-a.patch"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[packages]
"sed:amd64" = { version = "4.9-2", size = 12, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", path = "debian/pool/main/s/sed/sed_4.9-2_amd64.deb", sets = ["image-x86_64", "toolchain-x86_64"] }
"tzdata:all" = { version = "1:2026a", size = 9, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", path = "debian-security/pool/updates/main/t/tzdata/tzdata_2026a_all.deb", sets = ["image-aarch64", "image-x86_64"] }
"#;

    #[test]
    fn a_file_that_moved_within_the_archives_keeps_its_place() {
        let lock = Lock::parse(SAMPLE).unwrap();
        let sets: BTreeMap<_, _> =
            lock.sets().map(|(name, arch, pins)| ((name.clone(), arch), pins.to_vec())).collect();
        let mut moved = sets.clone();
        let image = (SetName("image".to_owned()), Arch::X86_64);
        let path = "debian-security/pool/updates/main/s/sed/sed_4.9-2_amd64.deb";
        for pin in moved.get_mut(&image).unwrap() {
            if pin.name.as_str() == "sed" {
                pin.path = path.parse().unwrap();
            }
        }
        let again = |sets| {
            let Lock { snapshot, suites, components, .. } = lock.clone();
            Lock::new(snapshot, None, suites, components, sets)
        };
        // The toolchain was not chosen afresh, and has the file at its old place.
        assert!(again(moved.clone()).is_err());
        assert_eq!(crate::same_files(&lock, moved), sets);
    }

    #[test]
    fn a_lock_is_written_as_it_was_read() {
        let lock = Lock::parse(SAMPLE).unwrap();
        assert_eq!(
            lock.to_string(),
            SAMPLE.replace(
                "\"image-aarch64\", \"image-x86_64\"",
                "\"image-x86_64\", \"image-aarch64\""
            )
        );
        assert_eq!(Lock::parse(&lock.to_string()).unwrap(), lock);
        let names = |set, arch| {
            lock.packages(set, arch)
                .unwrap()
                .iter()
                .map(|p| p.name.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("image", Arch::X86_64), ["sed", "tzdata"]);
        assert_eq!(names("image", Arch::Aarch64), ["tzdata"]);
        assert_eq!(names("toolchain", Arch::X86_64), ["sed"]);
        assert!(matches!(
            lock.packages("toolchain", Arch::Aarch64),
            Err(LockError::NoSuchSet { .. })
        ));
        assert_eq!(lock.component("init").unwrap().name, "init");
        assert!(lock.component("other").is_err());
        assert_eq!(lock.snapshot_times(), ["20260103T030405Z", "20260102T030405Z"]);
    }

    #[test]
    fn a_wrong_lock_is_refused_with_its_reason() {
        let cases = [
            ("version = 1", "version = 2", "format 2"),
            ("version = 1\n", "", "version"),
            ("sed:amd64", "sed:mips", "mips"),
            ("sed:amd64", "sed", "architecture"),
            ("debian/pool/main/s", "debian/../main/s", "pool path"),
            ("image-x86_64\", \"tool", "image\", \"tool", "`image` is not a set"),
            ("size = 12", "size = -1", "size"),
            ("size = 12", "size = 12, why = 1", "unknown field"),
            ("directory = \"units/init\"", "directory = \"../init\"", "relative path"),
            ("name = \"init\"", "name = \"mail-server\"", "listed twice"),
            ("kind = \"workspace\"", "kind = \"magic\"", "magic"),
            ("kind = \"workspace\"", "kind = \"workspace\"\nwhy = 1", "unknown field"),
            ("snapshot = \"2026-01-02", "snapshot = \"2026-13-02", "snapshot"),
        ];
        for (from, to, reason) in cases {
            assert!(SAMPLE.contains(from), "{from}");
            let error = Lock::parse(&SAMPLE.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(reason), "{to}: {error}");
        }
        assert!(Lock::parse(&"#".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn sets_that_disagree_about_a_package_make_no_lock() {
        let lock = Lock::parse(SAMPLE).unwrap();
        let mut sets = lock.sets.clone();
        let other = sets.get_mut(&(SetName("toolchain".to_owned()), Arch::X86_64)).unwrap();
        other[0].size += 1;
        let made = Lock::new(lock.snapshot, None, Vec::new(), Vec::new(), sets);
        assert!(matches!(made, Err(LockError::Twice { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(cut in 0..SAMPLE.len(), with in "\\PC{0,12}") {
            if let Some(head) = SAMPLE.get(..cut) {
                let _ = Lock::parse(&format!("{head}{with}{}", SAMPLE.get(cut + 3..).unwrap_or("")));
            }
        }
    }
}
