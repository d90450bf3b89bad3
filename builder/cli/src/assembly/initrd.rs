//! The initrd: `/init` and the modules that it needs to reach the root.
//!
//! In: the root's modules and which of them the target names for the initrd, the compiled init. Out: a compressed cpio archive. Modules go in unpacked, since the archive is
//! compressed as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;

use mailkiln_fetch::Cache;
use mailkiln_image::cpio::Archive;
use mailkiln_pin::Sha256;
use mailkiln_spec::target::Modules;
use mailkiln_tree::{Kind, TreePath};

use super::materials::Materials;
use super::root::{Root, content};
use super::{AssemblyError, Order};

/// Indexes that init reads.
const INDEXES: [&str; 3] = ["modules.alias", "modules.dep", "modules.softdep"];
/// The cache's kind for initrds.
const KIND: &str = "initrd";
/// Most bytes of one module.
const LARGEST_MODULE: u64 = 64 << 20;

/// The archive, compressed; from the cache when the same was made before.
pub(super) fn build(
    order: &Order<'_>,
    root: &Root,
    materials: &Materials,
) -> Result<Vec<u8>, AssemblyError> {
    let init = materials.program("init")?;
    let folder = TreePath::parse(&format!("usr/lib/modules/{}", root.release))?;
    let dependencies = parse_dependencies(&read(root, materials, &folder.join("modules.dep")?)?);
    let builtin = read(root, materials, &folder.join("modules.builtin")?)?;
    let chosen = &order.target.kernel.initrd;
    let known = dependencies.keys().map(String::as_str).chain(builtin.lines());
    let unknown = chosen.without_module(known.filter_map(below));
    if !unknown.is_empty() {
        let patterns: Vec<String> =
            unknown.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect();
        let (file, patterns) = (order.target.file(), patterns.join(", "));
        return Err(AssemblyError::NoSuchModule { file, patterns });
    }
    let modules = closure(&dependencies, chosen);
    let key = key(root, &folder, &modules, &init.sha256)?;
    let failed = |what: &str| {
        let what = format!("can't {what} the initrd");
        move |source| AssemblyError::File { what, source }
    };
    if let Some(path) = order.cache.derived(KIND, &key) {
        return fs::read(path).map_err(failed("read"));
    }
    let mut archive = Archive::default();
    let program = fs::read(&init.path).map_err(failed("read /init of"))?;
    archive.file(TreePath::parse("init")?, 0o755, program);
    for name in INDEXES {
        // The modules lose their compression here, and so the end of their names.
        let text = read(root, materials, &folder.join(name)?)?.replace(".ko.xz", ".ko");
        archive.file(
            TreePath::parse(&format!("lib/modules/{}/{name}", root.release))?,
            0o644,
            text.into_bytes(),
        );
    }
    for module in &modules {
        let path = folder.join(module)?;
        let plain = module.strip_suffix(".xz").unwrap_or(module);
        let bytes = unpack(module, bytes(root, materials, &path)?)?;
        archive.file(
            TreePath::parse(&format!("lib/modules/{}/{plain}", root.release))?,
            0o644,
            bytes,
        );
    }
    let compressed = archive.to_zstd().map_err(failed("compress"))?;
    publish(order.cache, &key, &compressed)?;
    Ok(compressed)
}

fn publish(cache: &Cache, key: &Sha256, bytes: &[u8]) -> Result<(), AssemblyError> {
    use std::io::Write as _;
    cache.publish_derived(KIND, key, |file| {
        let failed =
            |source| AssemblyError::File { what: "can't store the initrd".to_owned(), source };
        file.write_all(bytes).map_err(failed)
    })?;
    Ok(())
}

/// What decides the archive's bytes.
fn key(
    root: &Root,
    folder: &TreePath,
    modules: &BTreeSet<String>,
    init: &Sha256,
) -> Result<Sha256, AssemblyError> {
    let mut text = format!("initrd 1\n{}\n{init}\n", root.release);
    for name in INDEXES.iter().copied().chain(modules.iter().map(String::as_str)) {
        if let Some(entry) = root.tree.get(&folder.join(name)?) {
            text += &format!("{name} {:?}\n", entry.kind);
        }
    }
    Ok(Sha256::of(text.as_bytes()))
}

/// `modules.dep`: module → modules that it needs, paths below the release's folder.
fn parse_dependencies(text: &str) -> BTreeMap<String, Vec<String>> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(module, needs)| {
            (module.to_owned(), needs.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// Where a module is below `kernel/`.
fn below(path: &str) -> Option<&str> {
    path.strip_prefix("kernel/")
}

/// The chosen modules with all that they depend on.
fn closure(dependencies: &BTreeMap<String, Vec<String>>, chosen: &Modules) -> BTreeSet<String> {
    let is_chosen = |path: &str| below(path).is_some_and(|below| chosen.keeps(below));
    let mut queue: Vec<&String> = dependencies.keys().filter(|path| is_chosen(path)).collect();
    let mut modules = BTreeSet::new();
    while let Some(path) = queue.pop() {
        if modules.insert(path.clone()) {
            queue.extend(dependencies.get(path).into_iter().flatten());
        }
    }
    modules
}

fn bytes(root: &Root, materials: &Materials, path: &TreePath) -> Result<Vec<u8>, AssemblyError> {
    match root.tree.get(path).map(|entry| &entry.kind) {
        Some(Kind::File(file)) => content(file, materials, &path.to_string()),
        _ => Err(AssemblyError::Lacking(path.to_string())),
    }
}

fn read(root: &Root, materials: &Materials, path: &TreePath) -> Result<String, AssemblyError> {
    Ok(String::from_utf8_lossy(&bytes(root, materials, path)?).into_owned())
}

fn unpack(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, AssemblyError> {
    if !name.ends_with(".xz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    liblzma::read::XzDecoder::new(bytes.as_slice())
        .take(LARGEST_MODULE)
        .read_to_end(&mut plain)
        .map_err(|source| AssemblyError::File {
            what: format!("can't unpack the module {name}"),
            source,
        })?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_modules_bring_what_they_depend_on_and_nothing_else() {
        let dependencies = parse_dependencies(
            "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz\n\
             kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
             kernel/drivers/virtio/virtio.ko.xz:\n\
             kernel/drivers/virtio/virtio_rng.ko.xz:\n\
             kernel/fs/squashfs/squashfs.ko.xz:\n\
             updates/fs/squashfs/squashfs.ko.xz:\n",
        );
        let chosen: Modules = ["drivers/block/virtio_*", "fs/squashfs"]
            .into_iter()
            .flat_map(|pattern| pattern.parse())
            .collect();
        let modules: Vec<String> = closure(&dependencies, &chosen).into_iter().collect();
        assert_eq!(
            modules,
            [
                "kernel/drivers/block/virtio_blk.ko.xz",
                "kernel/drivers/virtio/virtio.ko.xz",
                "kernel/drivers/virtio/virtio_ring.ko.xz",
                "kernel/fs/squashfs/squashfs.ko.xz",
            ]
        );
    }
}
