//! Compilations that begin with what earlier ones made of the same crates: what is compiled again,
//! and that the bytes are those of a compilation from nothing.
//!
//! They need the locked toolchain (see `support`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop where it stands")]

mod support;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use mailkiln_compile::{
    CompileError, CompiledUnit, Compiler, Component, Features, LockedToolchain, Patch, Silent,
    Toolchain,
};
use mailkiln_fetch::Cache;
use mailkiln_pin::Sha256;
use support::{Published, borrowing_cache, host, reentry, registry, toolchain};

type Outcome = Result<(), Box<dyn Error>>;
/// The program's word, patches by crate, and the crates that are compiled.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
/// Which files are spoilt, and how.
type Way<'a> = (&'a dyn Fn(&str) -> bool, &'a dyn Fn(&Path));

/// Its build script is run again whenever something in `src` is newer than what it has written.
const GREETING: Published<'_> = Published {
    name: "greeting",
    files: &[
        ("Cargo.toml", "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\n"),
        (
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=src\");\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
             std::fs::write(out + \"/word.txt\", \"hello\").unwrap();\n}\n",
        ),
        (
            "src/lib.rs",
            "pub fn text() -> &'static str { concat!(include_str!(concat!(env!(\"OUT_DIR\"), \"/word.txt\")), file!()) }\n",
        ),
    ],
};
const SALUTE: Published<'_> = Published {
    name: "salute",
    files: &[
        (
            "Cargo.toml",
            "[package]\nname = \"salute\"\nversion = \"1.0.0\"\n[dependencies]\ngreeting = \"1\"\n",
        ),
        ("src/lib.rs", "pub fn text() -> String { format!(\"{}!\", greeting::text()) }\n"),
    ],
};
const APART: Published<'_> = Published {
    name: "apart",
    files: &[
        ("Cargo.toml", "[package]\nname = \"apart\"\nversion = \"1.0.0\"\n"),
        ("src/lib.rs", "pub fn text() -> &'static str { \"apart\" }\n"),
    ],
};

/// A program of its own on three crates, of which `salute` depends on `greeting`.
fn component(cache: &Cache, word: &str, patches: &[(&str, &str)]) -> Component {
    let source = registry();
    let mut lock = String::from("version = 4\n");
    for (published, rest) in
        [(APART, ""), (GREETING, ""), (SALUTE, "dependencies = [\"greeting\"]\n")]
    {
        let sha256 = published.insert(cache);
        lock += &format!(
            "\n[[package]]\nname = \"{}\"\nversion = \"1.0.0\"\n{source}\nchecksum = \"{sha256}\"\n{rest}",
            published.name
        );
    }
    lock += "\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\ndependencies = [\n \"apart\",\n \"salute\",\n]\n";
    let main =
        format!("fn main() {{ println!(\"{word} {{}} {{}}\", salute::text(), apart::text()) }}");
    let manifest = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    [dependencies]\nsalute = \"1\"\napart = \"1\"\n[profile.release]\nopt-level = 1\n";
    let files = [("Cargo.toml", manifest), ("Cargo.lock", &lock), ("src/main.rs", &main)];
    let own = |(path, text): (&str, &str)| (path.to_owned(), Cow::Owned(text.as_bytes().to_vec()));
    let patch = |(name, line): &(&str, &str)| Patch {
        path: format!("patches/{name}.patch"),
        text: format!(
            "--- /dev/null\n+++ b/{name}-1.0.0/src/{line}.rs\n@@ -0,0 +1 @@\n+pub fn {line}() {{}}\n"
        ),
    };
    Component {
        folder: String::new(),
        name: String::from("tiny"),
        files: BTreeMap::from(files.map(own)),
        patches: patches.iter().map(patch).collect(),
        package: String::from("tiny"),
        binaries: vec![String::from("tiny")],
        features: Features::default(),
        rustflags: Vec::new(),
        environment: BTreeMap::new(),
    }
}

/// A cache of its own on the user's toolchain.
struct Place {
    root: tempfile::TempDir,
    cache: Cache,
    toolchain: Toolchain,
    layers: bool,
}

impl Place {
    fn new() -> Option<Self> {
        let (own, locked) = toolchain()?;
        let root = tempfile::tempdir().unwrap();
        let cache = borrowing_cache(root.path(), &locked.folder(&own, &Silent).unwrap());
        Some(Self { root, cache, toolchain: Toolchain::Locked(locked), layers: true })
    }

    fn compile(&self, component: &Component) -> Result<CompiledUnit, CompileError> {
        let (target, jobs, layers) = (host(), 2, self.layers);
        let (cache, toolchain) = (&self.cache, &self.toolchain);
        Compiler { cache, toolchain, target, reentry: reentry(), jobs, layers }
            .compile(component, &Silent)
    }

    /// The crates that were compiled for this component, by what cargo says.
    fn compiled(&self, component: &Component) -> Result<Vec<String>, Box<dyn Error>> {
        Ok(compiled(&fs::read_to_string(self.compile(component)?.log)?))
    }

    fn component(&self, word: &str, patches: &[(&str, &str)]) -> Component {
        component(&self.cache, word, patches)
    }

    fn layers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.path().join("derived/crates")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn compiled(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.trim().strip_prefix("Compiling "));
    let names: BTreeSet<_> = lines.filter_map(|line| line.split(' ').next()).collect();
    names.into_iter().map(str::to_owned).collect()
}

const ALL: [&str; 4] = ["apart", "greeting", "salute", "tiny"];

fn digest(unit: &CompiledUnit) -> Sha256 {
    let program = unit.program("tiny").unwrap();
    assert_eq!(Sha256::of(&fs::read(&program.path).unwrap()), program.sha256);
    program.sha256
}

#[test]
fn a_change_compiles_what_depends_on_it_and_makes_the_bytes_of_a_compilation_from_nothing()
-> Outcome {
    let (Some(place), Some(mut other)) = (Place::new(), Place::new()) else { return Ok(()) };
    other.layers = false;
    let both = [("greeting", "a"), ("salute", "a")];
    let cases: [Case<'_>; 6] = [
        ("first", &both, &ALL),
        ("second", &both, &["tiny"]),
        ("second", &[("greeting", "a"), ("salute", "b")], &["salute", "tiny"]),
        ("second", &[("greeting", "b"), ("salute", "b")], &["greeting", "salute", "tiny"]),
        ("second", &[("greeting", "b")], &["salute", "tiny"]),
        ("third", &[("greeting", "b")], &["tiny"]),
    ];
    for (word, patches, expected) in cases {
        let component = place.component(word, patches);
        assert_eq!(place.compiled(&component)?, expected, "{word} {patches:?}");
        let unit = place.compile(&component)?;
        let alone = other.compile(&other.component(word, patches))?;
        assert_eq!(compiled(&fs::read_to_string(&alone.log)?), ALL);
        assert_eq!(digest(&unit), digest(&alone), "{word} {patches:?}");
        assert_eq!(unit.crates, alone.crates);
        let text = fs::read(&unit.programs[0].path)?;
        assert!(String::from_utf8_lossy(&text).contains(word));
    }
    assert_eq!((place.layers().len(), other.layers().len()), (1, 0));
    Ok(())
}

#[test]
fn crates_made_by_another_recipe_lock_or_toolchain_are_not_taken() -> Outcome {
    let Some(mut place) = Place::new() else { return Ok(()) };
    let component = place.component("first", &[]);
    assert_eq!(place.compiled(&component)?, ALL);
    let mut flags = component.clone();
    flags.rustflags.push(String::from("-Cdebug-assertions=on"));
    assert_eq!(place.compiled(&flags)?, ALL);
    let mut lock = component.clone();
    let text = String::from_utf8_lossy(&lock.files["Cargo.lock"]).into_owned() + "\n";
    lock.files.insert(String::from("Cargo.lock"), Cow::Owned(text.into_bytes()));
    assert_eq!(place.compiled(&lock)?, ALL);
    // The same compilers under another digest.
    let folder = |toolchain: &Toolchain| {
        place.root.path().join("derived/toolchain").join(toolchain.digest().to_string())
    };
    let other = Toolchain::Locked(LockedToolchain::new(&[]));
    let unpacked = fs::canonicalize(folder(&place.toolchain))?;
    // The folder itself is the user's: one of the test's own takes its place.
    let kinds = place.root.path().join("derived/toolchain");
    fs::remove_file(&kinds)?;
    fs::create_dir(&kinds)?;
    symlink(unpacked, kinds.join(other.digest().to_string()))?;
    place.toolchain = other;
    assert_eq!(place.compiled(&component)?, ALL);
    Ok(())
}

/// Alters a file of the layer.
fn spoil(layer: &Path, name: impl Fn(&str) -> bool, how: impl Fn(&Path)) {
    let mut open = vec![layer.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if name(&path.file_name().unwrap().to_string_lossy()) {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            return how(&path);
        }
    }
    unreachable!("the layer has no such file");
}

#[test]
fn a_damaged_layer_is_not_used_and_is_made_anew() -> Outcome {
    let Some(place) = Place::new() else { return Ok(()) };
    let expected = place.compile(&place.component("0", &[]))?;
    let library = |name: &str| name.starts_with("libsalute-") && name.ends_with(".rlib");
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let truncate = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let ways: [Way<'_>; 6] = [
        (&library, &flip),
        (&library, &truncate),
        (&library, &remove),
        (&|name| name == "layer.json", &flip),
        (&|name| name == "layer.json", &truncate),
        (&|name| name == "layer.json", &remove),
    ];
    for (number, (name, way)) in (1..).zip(ways) {
        let [layer] = &place.layers()[..] else { return Err("not one layer".into()) };
        spoil(layer, name, way);
        assert_eq!(place.compiled(&place.component(&number.to_string(), &[]))?, ALL, "{number}");
        let word = format!("{number} again");
        assert_eq!(place.compiled(&place.component(&word, &[]))?, ["tiny"], "{number}");
    }
    let unit = fs::canonicalize(&expected.log)?;
    fs::remove_dir_all(unit.parent().ok_or("no folder")?)?;
    assert_eq!(digest(&place.compile(&place.component("0", &[]))?), digest(&expected));
    Ok(())
}

#[test]
fn what_was_compiled_before_an_error_is_not_compiled_again() -> Outcome {
    let Some(place) = Place::new() else { return Ok(()) };
    let mut broken = place.component("first", &[]);
    broken.files.insert(String::from("src/main.rs"), Cow::Borrowed(b"fn main() { 1 + }"));
    assert!(matches!(place.compile(&broken), Err(CompileError::Failed { .. })));
    assert_eq!(place.compiled(&place.component("first", &[]))?, ["tiny"]);
    Ok(())
}

#[test]
fn two_compilations_at_once_share_a_layer() -> Outcome {
    let Some(place) = Place::new() else { return Ok(()) };
    for round in ["a", "b"] {
        let compile = |name: &str| {
            let component = place.component(&format!("{round} {name}"), &[("salute", round)]);
            place.compile(&component).map(|unit| fs::read(&unit.programs[0].path).unwrap())
        };
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| compile("left"));
            let right = compile("right");
            (left.join().unwrap(), right)
        });
        assert!(String::from_utf8_lossy(&left?).contains(&format!("{round} left")));
        assert!(String::from_utf8_lossy(&right?).contains(&format!("{round} right")));
    }
    let word = place.component("last", &[("salute", "b")]);
    assert_eq!(place.compiled(&word)?, ["tiny"]);
    Ok(())
}
