//! What tests of real compilations share: the locked toolchain, and crates made up on the spot.
//!
//! The toolchain's packages (or its unpacked folder) are in the user's cache, where any
//! `mailkiln build` leaves them. `MAILKILN_TEST_DEBS` names a folder of `.deb`s instead. Without
//! either the tests say so and end; `./check` builds first, so there they run.

use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use mailkiln_compile::{LockedToolchain, Reentry, embedded};
use mailkiln_fetch::Cache;
use mailkiln_lock::Lock;
use mailkiln_pin::{Arch, Archive, Pin, PoolPath, Sha256};

pub(crate) fn reentry() -> Reentry {
    Reentry::program(env!("CARGO_BIN_EXE_sandbox-enter"))
}

pub(crate) fn host() -> Arch {
    if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
}

/// The toolchain and the cache that has it; `None`, said aloud, where there is none.
pub(crate) fn toolchain() -> Option<(Cache, LockedToolchain)> {
    let cache = Cache::open(&Cache::default_root().unwrap()).unwrap();
    let pins = match std::env::var_os("MAILKILN_TEST_DEBS") {
        Some(folder) => debs(Path::new(&folder), &cache).unwrap(),
        None => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mailkiln.lock");
            let lock = fs::read_to_string(path).ok().and_then(|text| Lock::parse(&text).ok());
            lock.and_then(|lock| Some(lock.packages("toolchain", host()).ok()?.to_vec()))
                .unwrap_or_default()
        }
    };
    let toolchain = LockedToolchain::new(&pins);
    if pins.is_empty() || !toolchain.missing(&cache).is_empty() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no locked toolchain; run `mailkiln build` first"
        );
        eprintln!("skipped: the locked toolchain is not in the cache; run `mailkiln build` first");
        return None;
    }
    Some((cache, toolchain))
}

fn debs(folder: &Path, cache: &Cache) -> Result<Vec<Pin>, Box<dyn Error>> {
    let mut pins = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str()).ok_or("not UTF-8")?;
        let bytes = fs::read(&path)?;
        let (size, sha256) = (bytes.len() as u64, Sha256::of(&bytes));
        cache.insert(file, sha256, size, &bytes[..])?;
        pins.push(Pin {
            name: file.split('_').next().ok_or("no name")?.parse()?,
            arch: "all".parse()?,
            version: "0".parse()?,
            size,
            sha256,
            path: PoolPath::new(Archive::Debian, "pool/x.deb")?,
        });
    }
    Ok(pins)
}

/// A cache at `root` that borrows the unpacked toolchain.
pub(crate) fn borrowing_cache(root: &Path, unpacked: &Path) -> Cache {
    let cache = Cache::open(root).unwrap();
    let (link, target) = (root.join("derived/toolchain"), unpacked.parent().unwrap());
    if !link.exists() {
        symlink(target, link).unwrap();
    }
    cache
}

/// A crate as a registry has it, version 1.0.0.
pub(crate) struct Published<'a> {
    pub(crate) name: &'a str,
    /// Path and text of each file.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

impl Published<'_> {
    /// Packs the crate and puts it into `cache`.
    pub(crate) fn insert(&self, cache: &Cache) -> Sha256 {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, text) in self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            let path = format!("{}-1.0.0/{path}", self.name);
            archive.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let sha256 = Sha256::of(&bytes);
        cache.insert(self.name, sha256, bytes.len() as u64, &bytes[..]).unwrap();
        sha256
    }
}

/// The line by which a `Cargo.lock` names the default registry: as cargo has written it in ours.
pub(crate) fn registry() -> String {
    let init = embedded("init").unwrap();
    let lock = String::from_utf8_lossy(&init.files[&init.path("Cargo.lock")]).into_owned();
    lock.lines().find(|line| line.starts_with("source = ")).unwrap().to_owned()
}
