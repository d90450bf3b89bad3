//! Makes the root tree of a folder of `.deb` files and writes it out, for judging by real tools.
//!
//! `cargo run -p mailkiln-sources --example root_tree -- DEBS CACHE OUT [TARGET]`
//! prints what each package weighs, packed; OUT gets the tree, `kernel` and `sbom.spdx.json`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Instant;

use mailkiln_fetch::Cache;
use mailkiln_pin::{Archive, PackageArch, Pin, PoolPath, Sha256};
use mailkiln_sources::sbom::{Part, Sbom};
use mailkiln_sources::{BuildLists, KernelChoice, Library, Policy, Silent, Unpacked, assemble};
use mailkiln_spec::target::builtin_target;
use mailkiln_squashfs::Params;
use mailkiln_tree::{
    Content, Contents as _, Enablement, Finished, FixupInput, Identity, Kind, User, finish,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [debs, cache, out, rest @ ..] = &arguments[..] else {
        return Err("usage: root_tree DEBS CACHE OUT [TARGET]".into());
    };
    let target = builtin_target(rest.first().map_or("x86_64", String::as_str))?;
    let cache = Cache::open(Path::new(cache))?;
    let pins = pins(Path::new(debs), &cache)?;
    let data = Policy::kernel_data();
    let data = Library::new(&cache, &data, Params::default()).layers(&pins, &Silent)?;
    let policy = Policy::appliance().with_modules(KernelChoice {
        lists: BuildLists::read(&data)?,
        file: target.file(),
        named: target.kernel.modules,
        needed: Vec::new(),
    });
    let library = Library::new(&cache, &policy, Params::default());
    let start = Instant::now();
    let unpacked = library.layers(&pins, &Silent)?;
    println!("layers: {:?}", start.elapsed());
    let start = Instant::now();
    let tree = assemble(&unpacked.layers)?;
    println!("assembled: {:?}, {} entries", start.elapsed(), tree.len());
    let start = Instant::now();
    let finished = finish(tree, &input(&unpacked))?;
    println!("finished: {:?}, {} entries", start.elapsed(), finished.tree.len());
    weigh(&cache, &unpacked)?;
    write_out(&finished, &unpacked, Path::new(out))?;
    let sbom = Sbom {
        name: format!("example-{}", target.name),
        version: "0".into(),
        created: jiff::Timestamp::UNIX_EPOCH,
        builder: env!("CARGO_PKG_VERSION").into(),
        parts: Part::all_debian(unpacked.layers.iter().map(|layer| &layer.package), "13"),
    };
    fs::write(Path::new(out).with_extension("spdx.json"), sbom.to_spdx()?)?;
    Ok(())
}

fn pins(debs: &Path, cache: &Cache) -> Result<Vec<Pin>, Box<dyn Error>> {
    let mut paths: Vec<_> = fs::read_dir(debs)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    let mut pins = Vec::new();
    for path in paths {
        let bytes = fs::read(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fields: Vec<&str> = name.trim_end_matches(".deb").split('_').collect();
        let [package, version, arch] = fields[..] else { return Err(name.into()) };
        let pin = Pin {
            name: package.parse()?,
            arch: arch.parse::<PackageArch>()?,
            version: version.replace("%3a", ":").parse()?,
            size: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
            path: PoolPath::new(Archive::Debian, &format!("pool/{name}"))?,
        };
        cache.insert(&name, pin.sha256, pin.size, &bytes[..])?;
        pins.push(pin);
    }
    Ok(pins)
}

fn input(unpacked: &Unpacked) -> FixupInput<'_> {
    static IDENTITY: std::sync::OnceLock<Identity> = std::sync::OnceLock::new();
    static ENABLEMENT: std::sync::OnceLock<Enablement> = std::sync::OnceLock::new();
    static USERS: std::sync::OnceLock<Vec<User>> = std::sync::OnceLock::new();
    FixupInput {
        host: "mail.example.test",
        time_zone: "Etc/UTC",
        users: USERS.get_or_init(|| {
            vec![User {
                name: "mail-server".into(),
                number: 801,
                comment: "Mail server".into(),
                home: "/var/lib/mail-server".into(),
                shell: None,
                groups: Vec::new(),
            }]
        }),
        enablement: ENABLEMENT.get_or_init(|| {
            let mut enablement = Enablement::base();
            enablement.enable.push("nftables.service".into());
            enablement
        }),
        identity: IDENTITY.get_or_init(|| Identity { version: "0".into(), variant: "x".into() }),
        contents: unpacked,
    }
}

/// Packed and unpacked size of each package, heaviest first.
fn weigh(cache: &Cache, unpacked: &Unpacked) -> Result<(), Box<dyn Error>> {
    let folders = fs::read_dir(cache.root().join("derived/layer"))?;
    let mut weights = Vec::new();
    for folder in folders {
        let folder = folder?.path();
        let index = fs::read(folder.join("index"))?;
        let layer = mailkiln_sources::Layer::decode(&index)?;
        let current = unpacked.layers.contains(&layer);
        if current {
            let packed = fs::metadata(folder.join("pack"))?.len();
            weights.push((packed, layer.size(), layer.package.name.to_string()));
        }
    }
    weights.sort_unstable_by(|one, other| other.cmp(one));
    let total = |of: fn(&(u64, u64, String)) -> u64| weights.iter().map(of).sum::<u64>() / 1024;
    println!("{:>8} {:>8} KiB in all", total(|weight| weight.0), total(|weight| weight.1));
    for (packed, size, name) in weights {
        println!("{:>8} {:>8} {name}", packed / 1024, size / 1024);
    }
    Ok(())
}

fn write_out(finished: &Finished, unpacked: &Unpacked, out: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = |content: &Content| match content {
        Content::Inline(bytes) => Ok(bytes.to_vec()),
        Content::Packed { sha256, .. } => unpacked.read(sha256),
    };
    fs::create_dir(out)?;
    for (path, entry) in finished.tree.iter() {
        let to = out.join(path.as_str());
        match &entry.kind {
            Kind::Directory => fs::create_dir(&to)?,
            Kind::Symlink(target) => symlink(target, &to)?,
            Kind::File(content) => fs::write(&to, bytes(content)?)?,
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            // Readable and writable by whoever looks at it, whatever the image says.
            let mode = u32::from(entry.mode) | 0o600;
            fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        }
    }
    fs::write(out.with_extension("kernel"), bytes(&finished.boot.kernel)?)?;
    println!("kernel {}", finished.boot.release);
    Ok(())
}
