//! Real compilations in the real sandbox: what the inside sees, what comes out, what is left.
//!
//! They need the locked toolchain (see `support`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop where it stands")]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mailkiln_compile::sandbox::Sandbox;
use mailkiln_compile::{
    BuiltBy, CompileError, CompiledUnit, Compiler, Component, Features, HostToolchain,
    LockedToolchain, Patch, Silent, Toolchain,
};
use mailkiln_fetch::Cache;
use mailkiln_pin::Sha256;
use nix::sys::stat::Mode;
use support::{Published, borrowing_cache, host, reentry, registry, toolchain};

type Outcome = Result<(), Box<dyn Error>>;

/// A build script that fails if it sees anything of the host, and a program that carries every
/// path and value that could betray where it was built.
const BUILD_SCRIPT: &str = r#"
use std::{env, fs, net::TcpStream, os::unix::fs::MetadataExt};
fn main() {
    assert_eq!(env::var("HOME").unwrap(), "/build/home");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "mailkiln");
    assert_eq!(fs::metadata("/proc/self").unwrap().uid(), 1000);
    let mut root: Vec<_> = fs::read_dir("/").unwrap().map(|e| e.unwrap().file_name()).collect();
    root.sort();
    let seen = ["bin", "build", "dev", "etc", "lib", "lib64", "proc", "sbin", "src", "tmp", "usr"];
    assert_eq!(root, seen);
    for path in ["/x", "/usr/x", "/src/x", "/etc/x", "/usr/bin/cargo"] {
        assert!(fs::write(path, "x").is_err(), "{path} can be written");
    }
    assert!(fs::write("/tmp/x", "x").is_ok());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for line in ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{status}");
    }
    assert!(fs::read_dir("/proc").unwrap().filter_map(Result::ok).all(|entry| {
        entry.file_name().to_str().unwrap().parse::<u32>().is_ok_and(|pid| pid < 10_000)
            || entry.file_name().to_str().unwrap().parse::<u32>().is_err()
    }));
    let interfaces = fs::read_to_string("/proc/net/dev").unwrap();
    assert_eq!(interfaces.lines().skip(2).count(), 1, "{interfaces}");
    assert!(TcpStream::connect("127.0.0.1:22").is_err());
    let names: Vec<_> = env::vars().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name.starts_with("MAILKILN") || name == "RUSTUP_HOME"));
}
"#;

const MAIN: &str = r#"
fn main() {
    println!("{} {} {}", env!("CARGO_MANIFEST_DIR"), file!(), greeting::text());
    panic!("{:?}", std::env::args());
}
"#;

const PATCH: &str = "--- a/greeting-1.0.0/src/lib.rs
+++ b/greeting-1.0.0/src/lib.rs
@@ -1 +1 @@
-pub fn text() -> &'static str { \"as published\" }
+pub fn text() -> &'static str { concat!(\"as patched in \", file!()) }
";

/// A component with one crate, which is put into `cache`.
fn component(cache: &Cache, main: &str, build_script: &str) -> Component {
    let greeting = Published {
        name: "greeting",
        files: &[
            (
                "Cargo.toml",
                "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\nlicense = \"MIT\"\n",
            ),
            ("src/lib.rs", "pub fn text() -> &'static str { \"as published\" }\n"),
        ],
    };
    let sha256 = greeting.insert(cache);
    let source = registry();
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"greeting\"\nversion = \"1.0.0\"\n{source}\n\
         checksum = \"{sha256}\"\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n\
         dependencies = [\n \"greeting\",\n]\n"
    );
    let manifest = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    [dependencies]\ngreeting = \"1\"\n";
    let files = [
        ("Cargo.toml", manifest),
        ("Cargo.lock", &lock),
        ("build.rs", build_script),
        ("src/main.rs", main),
    ];
    let own = |(path, text): (&str, &str)| (path.to_owned(), Cow::Owned(text.as_bytes().to_vec()));
    Component {
        folder: String::new(),
        name: String::from("tiny"),
        files: BTreeMap::from(files.map(own)),
        patches: vec![Patch { path: String::from("patches/1.patch"), text: PATCH.to_owned() }],
        package: String::from("tiny"),
        binaries: vec![String::from("tiny")],
        features: Features::default(),
        rustflags: Vec::new(),
        environment: BTreeMap::new(),
    }
}

fn compile(
    root: &Path,
    main: &str,
    build_script: &str,
    jobs: usize,
) -> Option<Result<CompiledUnit, CompileError>> {
    let (own, locked) = toolchain()?;
    let cache = borrowing_cache(root, &locked.folder(&own, &Silent).unwrap());
    let toolchain = Toolchain::Locked(locked);
    let compiler = Compiler {
        cache: &cache,
        toolchain: &toolchain,
        target: host(),
        reentry: reentry(),
        jobs,
        layers: true,
    };
    Some(compiler.compile(&component(&cache, main, build_script), &Silent))
}

/// Run by the test below in a process of its own, with another environment.
#[test]
#[ignore = "a part of the test below"]
fn compile_elsewhere() {
    let root = PathBuf::from(std::env::var_os("ELSEWHERE").unwrap());
    nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
    let unit = compile(&root, MAIN, BUILD_SCRIPT, 1).unwrap().unwrap();
    fs::write(root.join("digest"), unit.programs[0].sha256.to_string()).unwrap();
}

#[test]
fn the_same_bytes_from_anywhere_and_nothing_of_the_host_inside() -> Outcome {
    let (here, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let Some(unit) = compile(here.path(), MAIN, BUILD_SCRIPT, 2) else { return Ok(()) };
    let unit = unit?;
    assert_eq!(unit.built_by, BuiltBy::LockedToolchain);
    let program = unit.program("tiny").ok_or("no program")?;
    let bytes = fs::read(&program.path)?;
    assert_eq!(Sha256::of(&bytes), program.sha256);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("as patched in /crates/greeting-1.0.0/src/lib.rs"));
    assert!(!text.contains(&*here.path().to_string_lossy()), "a path of the host");
    let crates: Vec<_> = unit.crates.iter().map(|used| used.name.as_str()).collect();
    assert_eq!(crates, ["greeting", "tiny"]);
    assert_eq!(unit.crates[0].licence.as_deref(), Some("MIT"));

    // The long way round: another folder, umask, locale, zone, home, and number of jobs.
    let cache = Cache::default_root()?;
    let status = Command::new(std::env::current_exe()?)
        .args(["--exact", "compile_elsewhere", "--ignored"])
        .current_dir("/")
        .env("MAILKILN_CACHE", cache)
        .env("ELSEWHERE", elsewhere.path())
        .env("HOME", elsewhere.path())
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Kiritimati")
        .env("RUSTFLAGS", "-Copt-level=0")
        .status()?;
    assert!(status.success());
    assert_eq!(fs::read_to_string(elsewhere.path().join("digest"))?, program.sha256.to_string());

    let left: Vec<_> = fs::read_dir(here.path().join("tmp"))?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| !name.to_string_lossy().ends_with(".lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn an_error_in_the_sources_is_shown_with_the_place_of_the_log() -> Outcome {
    let root = tempfile::tempdir()?;
    let broken = "fn main() { let x: u8 = \"text\"; }";
    let Some(result) = compile(root.path(), broken, "fn main() {}", 2) else { return Ok(()) };
    let error = result.err().ok_or("it compiled")?;
    let message = error.to_string();
    assert!(message.contains("error[E0308]: mismatched types"), "{message}");
    let CompileError::Failed { log, .. } = error else { return Err(message.into()) };
    assert!(
        message.contains(&*log.to_string_lossy()) && fs::read_to_string(log)?.contains("E0308")
    );
    Ok(())
}

#[test]
fn the_hosts_tools_are_a_fallback_under_a_name_of_their_own() -> Outcome {
    let root = tempfile::tempdir()?;
    let cache = Cache::open(root.path())?;
    let component = component(&cache, MAIN, "fn main() {}");
    let toolchain = Toolchain::Host(HostToolchain::find()?);
    let compiler = Compiler {
        cache: &cache,
        toolchain: &toolchain,
        target: host(),
        reentry: reentry(),
        jobs: 2,
        layers: true,
    };
    assert_eq!(compiler.find(&component)?, None);
    let unit = compiler.compile(&component, &Silent)?;
    assert_eq!(unit.built_by, BuiltBy::HostToolchain);
    assert_eq!(compiler.find(&component)?, Some(unit.clone()));
    let text = fs::read(&unit.programs[0].path)?;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("as patched in /crates/greeting-1.0.0/src/lib.rs"));

    let locked = Toolchain::Locked(LockedToolchain::new(&[]));
    let other = Compiler { toolchain: &locked, ..compiler };
    assert_eq!(other.find(&component)?, None);
    Ok(())
}

#[test]
fn when_mailkiln_is_killed_nothing_goes_on_in_the_sandbox() -> Outcome {
    let Some((cache, locked)) = toolchain() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for name in ["src", "build", "root"] {
        fs::create_dir(path(name))?;
    }
    let pipe = path("build/pipe");
    nix::unistd::mkfifo(&pipe, Mode::from_bits_truncate(0o600))?;
    let assembler = format!("/usr/bin/{}-as", host().multiarch());
    let sandbox = Sandbox {
        folder: String::new(),
        toolchain: locked.folder(&cache, &Silent)?,
        source: path("src"),
        build: path("build"),
        root: path("root"),
        // The assembler waits for somebody to write its source.
        command: [&*assembler, "-o", "/build/object", "/build/pipe"].map(String::from).to_vec(),
        environment: BTreeMap::new(),
    };
    let mut child = sandbox.command(&reentry())?.spawn()?;
    // Held to the end, so that nothing but the kill can end the assembler.
    let _writer = eventually(|| open_for_writing(&pipe).ok())?;
    child.kill()?;
    child.wait()?;
    eventually(|| open_for_writing(&pipe).err().filter(nobody_reads))?;
    Ok(())
}

/// Opens a pipe that somebody reads; without a reader it fails at once.
fn open_for_writing(pipe: &Path) -> io::Result<File> {
    File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(pipe)
}

fn nobody_reads(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::ENXIO)
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Result<T, Box<dyn Error>> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("it did not happen within a minute".into())
}

#[test]
fn a_toolchain_that_lacks_the_program_says_so() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for name in ["src", "build", "root", "tools", "tools/usr"] {
        fs::create_dir(path(name))?;
    }
    let sandbox = Sandbox {
        folder: String::new(),
        toolchain: path("tools"),
        source: path("src"),
        build: path("build"),
        root: path("root"),
        command: vec![String::from("/usr/bin/cargo")],
        environment: BTreeMap::new(),
    };
    let output = sandbox.command(&reentry())?.output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    io::stderr().write_all(&output.stderr)?;
    assert_eq!(output.status.code(), Some(120));
    assert!(message.starts_with("sandbox: can't start /usr/bin/cargo"), "{message}");
    assert!(message.contains("toolchain"), "{message}");
    Ok(())
}

/// Waits to be killed the first time, and only the first time, that it runs in a build folder.
const HOLD: &str = r#"
fn main() {
    if std::fs::File::create_new("/build/holding").is_ok() {
        std::thread::sleep(std::time::Duration::from_secs(120));
        panic!("nobody killed this build");
    }
}
"#;

/// Run, and killed, by the test below.
#[test]
#[ignore = "a part of the test below"]
fn compile_until_killed() {
    let root = PathBuf::from(std::env::var_os("ELSEWHERE").unwrap());
    compile(&root, MAIN, HOLD, 1).unwrap().unwrap();
}

#[test]
fn an_interrupted_compilation_is_taken_up_again() -> Outcome {
    let root = tempfile::tempdir()?;
    if toolchain().is_none() {
        return Ok(());
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "compile_until_killed", "--ignored"])
        .env("ELSEWHERE", root.path())
        .spawn()?;
    let folders = || Some(fs::read_dir(root.path().join("tmp")).ok()?.flatten());
    eventually(|| folders()?.find(|folder| folder.path().join("build/holding").exists()))?;
    child.kill()?;
    child.wait()?;
    // Begun from nothing, the build script would hold again, and fail.
    let unit = compile(root.path(), MAIN, HOLD, 1).ok_or("no toolchain")??;
    assert!(unit.program("tiny").is_some());
    let left = folders().ok_or("no tmp")?.filter(|folder| folder.path().is_dir()).count();
    assert_eq!(left, 0);
    Ok(())
}
