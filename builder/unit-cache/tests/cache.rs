//! A unit cache that is written by one machine and used by another, and all that can be wrong with it.
//!
//! Nothing is compiled: what matters is what is taken, and what is refused by which words.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mailkiln_compile::{
    CompiledUnit, Compiler, Component, Features, LockedToolchain, Origin, Program, Reentry,
    Toolchain,
};
use mailkiln_fetch::{Base, Cache, Fetcher, Mirrors, Silent};
use mailkiln_nix_store::{SecretKey, TrustedPublicKey};
use mailkiln_pin::{Arch, Sha256};
use mailkiln_unit_cache::{PROGRAMS, Record, Refusal, UnitCache, record_name};

type Outcome = Result<(), Box<dyn Error>>;
/// What spoils a cache of units.
type Spoil<'a> = &'a dyn Fn(&Place);

const PROGRAM: &[u8] = b"the program, as one machine has compiled it";

fn component(name: &str) -> Component {
    let lock = Cow::Owned(format!("version = 4\n# {name}\n").into_bytes());
    Component {
        folder: String::new(),
        name: name.to_owned(),
        files: BTreeMap::from([(String::from("Cargo.lock"), lock)]),
        patches: Vec::new(),
        package: name.to_owned(),
        binaries: vec![String::from("program")],
        features: Features::default(),
        rustflags: Vec::new(),
        environment: BTreeMap::new(),
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::new("units-1", [seed; 32]).unwrap()
}

/// A unit cache in a folder, and the local cache of whoever uses it.
struct Place {
    root: tempfile::TempDir,
    cache: Cache,
    toolchain: Toolchain,
}

impl Place {
    /// With the unit of `agent` in it, signed by the first key.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(&root.path().join("local")).unwrap();
        let toolchain = Toolchain::Locked(LockedToolchain::new(&[]));
        let place = Self { root, cache, toolchain };
        fs::create_dir_all(place.folder().join(PROGRAMS)).unwrap();
        fs::write(place.program(), PROGRAM).unwrap();
        place.write(&place.record(), 1);
        place
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("units")
    }

    fn program(&self) -> PathBuf {
        self.folder().join(PROGRAMS).join(Sha256::of(PROGRAM).to_string())
    }

    fn compiler(&self) -> Compiler<'_> {
        let (cache, toolchain) = (&self.cache, &self.toolchain);
        let reentry = Reentry::program("/nowhere");
        Compiler { cache, toolchain, target: Arch::X86_64, reentry, jobs: 1, layers: false }
    }

    fn record(&self) -> Record {
        Record {
            component: String::from("agent"),
            target: Arch::X86_64,
            key: self.compiler().key(&component("agent")),
            toolchain: self.toolchain.digest(),
            programs: vec![(String::from("program"), PROGRAM.len() as u64, Sha256::of(PROGRAM))],
            crates: Vec::new(),
        }
    }

    /// Writes a record under the name that `agent` is looked for by.
    fn write(&self, record: &Record, seed: u8) {
        let name = record_name(&self.compiler().key(&component("agent")));
        let text = record.clone().sign(&key(seed)).to_string();
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn take(&self, name: &str) -> Result<CompiledUnit, Refusal> {
        let mirrors = Mirrors::default();
        let fetcher = Fetcher::new(&self.cache, &mirrors).with_pauses(&[]);
        let base = Base::folder(&self.folder()).unwrap();
        let keys = [TrustedPublicKey::parse(&key(1).public_text()).unwrap()];
        let cache = UnitCache { base: &base, keys: &keys, fetcher: &fetcher };
        cache.take(&self.compiler(), &component(name), &Silent)
    }
}

#[test]
fn a_unit_is_taken_as_if_it_had_been_compiled_here() -> Outcome {
    let place = Place::new();
    assert_eq!(place.compiler().find(&component("agent"))?, None);
    let unit = place.take("agent")?;
    assert_eq!(fs::read(&unit.programs[0].path)?, PROGRAM);
    let origin = unit.origin.clone().ok_or("no origin")?;
    assert_eq!(origin.key, "units-1");
    assert!(Path::new(origin.place.trim_start_matches("file://")).ends_with("units"));
    assert_eq!(place.compiler().find(&component("agent"))?, Some(unit));
    Ok(())
}

#[test]
fn what_is_wrong_is_refused_by_name_and_leaves_nothing_behind() -> Outcome {
    let spoilt = |spoil: &dyn Fn(&Place)| {
        let place = Place::new();
        spoil(&place);
        let refusal = place.take("agent").unwrap_err().to_string();
        assert_eq!(place.compiler().find(&component("agent")).unwrap(), None, "{refusal}");
        refusal
    };
    let program = |bytes: Vec<u8>| move |place: &Place| fs::write(place.program(), &bytes).unwrap();
    let mut flipped = PROGRAM.to_vec();
    flipped[7] ^= 1;
    let record = |change: fn(&mut Record)| {
        move |place: &Place| {
            let mut record = place.record();
            change(&mut record);
            place.write(&record, 1);
        }
    };
    let cases: [(Spoil<'_>, &str); 10] = [
        (&program(flipped), "program"),
        (&program(PROGRAM[..9].to_vec()), "ended after 9 of"),
        (&|place| fs::remove_file(place.program()).unwrap(), "not there"),
        (&|place| place.write(&place.record(), 2), "signed by units-1, and no trusted key"),
        (&record(|record| record.toolchain = Sha256::of(b"other")), "for another toolchain"),
        (&record(|record| record.key = Sha256::of(b"other")), "for another key"),
        (&record(|record| record.target = Arch::Aarch64), "for another target"),
        (&record(|record| record.component = String::from("acme")), "for another component"),
        (&record(|record| record.programs.clear()), "it has the programs , not program"),
        (
            &|place| {
                let name = record_name(&place.record().key);
                fs::write(place.folder().join(name), "mailkiln-unit 1\ncomponent").unwrap();
            },
            "its record",
        ),
    ];
    for (spoil, expected) in cases {
        let refusal = spoilt(spoil);
        assert!(refusal.contains(expected), "{refusal}, not {expected}");
    }
    assert!(matches!(Place::new().take("acme"), Err(Refusal::Missing)));
    Ok(())
}

#[test]
fn a_program_that_changes_after_it_was_fetched_is_not_kept() -> Outcome {
    let place = Place::new();
    let path = place.root.path().join("changed");
    fs::write(&path, "other")?;
    let (size, sha256) = (PROGRAM.len() as u64, Sha256::of(PROGRAM));
    let program = Program { name: String::from("program"), path, size, sha256 };
    let origin = Origin { place: String::from("x"), key: String::from("units-1") };
    let kept = place.compiler().adopt(&component("agent"), &[program], Vec::new(), origin);
    assert!(kept.is_err());
    assert_eq!(place.compiler().find(&component("agent"))?, None);
    Ok(())
}
