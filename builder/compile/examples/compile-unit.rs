//! Compiles one embedded component and prints its programs' digests: a way to try a toolchain
//! before a lock names it, or to compile without building an image.
//!
//!     cargo run --example compile-unit -- NAME LOCK|DIRECTORY-OF-DEBS|host [x86_64|aarch64 [CACHE]]
//!
//! What a lock names must be in the cache already.
//!
//! Needs this crate's `sandbox-enter` program beside it (`cargo build -p mailkiln-compile`).

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use mailkiln_compile::{
    BuiltBy, Compiler, HostToolchain, LockedToolchain, Progress, Reentry, Step, Toolchain, embedded,
};
use mailkiln_fetch::Cache;
use mailkiln_lock::Lock;
use mailkiln_pin::{Arch, Archive, Pin, PoolPath, Sha256};

/// Writes a line per item.
struct Lines(Instant);

impl Progress for Lines {
    fn advance(&self, step: Step, done: usize, total: usize, name: &str) {
        let seconds = self.0.elapsed().as_secs();
        let _ = writeln!(io::stderr(), "{seconds:>5} s {} {done}/{total} {name}", step.verb());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, tools, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: compile-unit NAME LOCK|DIRECTORY-OF-DEBS|host [x86_64|aarch64 [CACHE]]".into(),
        );
    };
    let arch = |name: &str| Arch::ALL.into_iter().find(|arch| arch.gnu() == name);
    let host = arch(std::env::consts::ARCH).ok_or("no toolchain for this machine")?;
    let target =
        rest.first().map_or(Some(host), |name| arch(name)).ok_or("no such architecture")?;
    let root = rest.get(1).map_or_else(Cache::default_root, |root| Ok(root.into()))?;
    let cache = Cache::open(&root)?;
    let component = embedded(name).ok_or("no such component")?;
    let toolchain = match tools.as_str() {
        "host" => Toolchain::Host(HostToolchain::find()?),
        lock if Path::new(lock).is_file() => {
            let lock = Lock::parse(&fs::read_to_string(lock)?)?;
            let mut pins = lock.packages("toolchain", host)?.to_vec();
            if target != host {
                pins.extend_from_slice(lock.packages("cross", host)?);
            }
            Toolchain::Locked(LockedToolchain::new(&pins))
        }
        folder => Toolchain::Locked(LockedToolchain::new(&pins(Path::new(folder), &cache)?)),
    };
    let beside = std::env::current_exe()?.ancestors().nth(2).map(|path| path.join("sandbox-enter"));
    let reentry = Reentry::program(beside.ok_or("no folder for this program")?);
    let jobs = std::thread::available_parallelism()?.get();
    let compiler =
        Compiler { cache: &cache, toolchain: &toolchain, target, reentry, jobs, layers: true };
    let unit = compiler.compile(&component, &Lines(Instant::now()))?;
    let mut out = io::stdout();
    for program in &unit.programs {
        writeln!(out, "{}  {}  {} bytes", program.sha256, program.path.display(), program.size)?;
    }
    let sandboxed = unit.built_by == BuiltBy::LockedToolchain;
    writeln!(out, "{} crates, sandboxed: {sandboxed}", unit.crates.len())?;
    Ok(())
}

/// Puts every `.deb` of a folder into the cache.
fn pins(folder: &Path, cache: &Cache) -> Result<Vec<Pin>, Box<dyn Error>> {
    let mut pins = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str()).ok_or("not UTF-8")?;
        let mut parts = file.trim_end_matches(".deb").split('_');
        let mut part = || parts.next().ok_or("not NAME_VERSION_ARCH.deb");
        let (name, version, arch) = (part()?, part()?.replace("%3a", ":"), part()?);
        let bytes = fs::read(&path)?;
        let (size, sha256) = (bytes.len() as u64, Sha256::of(&bytes));
        cache.insert(file, sha256, size, File::open(&path)?)?;
        pins.push(Pin {
            name: name.parse()?,
            arch: arch.parse()?,
            version: version.parse()?,
            size,
            sha256,
            path: PoolPath::new(Archive::Debian, &format!("pool/{}", file.replace('%', "")))?,
        });
    }
    Ok(pins)
}
