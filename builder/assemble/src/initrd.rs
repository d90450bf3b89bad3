//! The initrd: `/init` and the modules that it needs to reach the root.
//!
//! In: the root's modules, which of them need which, and which the target names for the initrd; the compiled init. Out: a
//! compressed cpio archive. Modules go in unpacked, since the archive is compressed as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};

use mailkiln_fetch::Cache;
use mailkiln_image::cpio::Archive;
use mailkiln_pin::Sha256;
use mailkiln_sources::LARGEST_MODULE;
use mailkiln_spec::target::Modules;
use mailkiln_tree::depmod::Dependencies;
use mailkiln_tree::{Content, Kind, TreePath};

use crate::parts::Parts;
use crate::root::Root;
use crate::{AssembleError, Inputs, compile};

/// Indexes that init reads.
const INDEXES: [&str; 3] = ["modules.alias", "modules.dep", "modules.softdep"];
/// The cache's kind for initrds.
const KIND: &str = "initrd";

/// The archive, compressed; from the cache when the same was made before.
pub(crate) fn build(
    inputs: &Inputs<'_>,
    root: &Root,
    parts: &Parts,
    cache: &Cache,
) -> Result<Vec<u8>, AssembleError> {
    let target = inputs.target;
    let init = parts.program("init")?;
    let folder = TreePath::parse(&format!("usr/lib/modules/{}", root.release))?;
    let read = |name: &str| parts.text(&root.tree, &folder.join(name)?);
    let dependencies = parts.modules(&root.release).ok_or_else(|| {
        AssembleError::Lacking(format!("the modules of the kernel {}", root.release))
    })?;
    let builtin = read("modules.builtin")?;
    let chosen = &target.kernel.initrd;
    let known = dependencies.modules().chain(builtin.lines());
    let unknown = chosen.without_module(known.filter_map(below));
    if !unknown.is_empty() {
        let patterns: Vec<String> =
            unknown.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect();
        let (file, patterns) = (target.file(), patterns.join(", "));
        return Err(AssembleError::NoSuchModule { file, patterns });
    }
    let modules = chosen_modules(dependencies, chosen);
    let key = key(root, &folder, &modules, &init.sha256)?;
    let failed = |what: &str| {
        let what = format!("can't {what} the initrd");
        move |source| AssembleError::File { what, source }
    };
    if let Some(path) = cache.derived(KIND, &key) {
        return fs::read(path).map_err(failed("read"));
    }
    let mut archive = Archive::default();
    archive.file(TreePath::parse("init")?, 0o755, compile::read(init)?);
    for name in INDEXES {
        // The modules lose their compression here, and so the end of their names.
        let text = read(name)?.replace(".ko.xz", ".ko");
        archive.file(
            TreePath::parse(&format!("lib/modules/{}/{name}", root.release))?,
            0o644,
            text.into_bytes(),
        );
    }
    for module in &modules {
        let path = folder.join(module)?;
        let plain = module.strip_suffix(".xz").unwrap_or(module);
        let bytes = unpack(module, parts.bytes(&root.tree, &path)?)?;
        archive.file(
            TreePath::parse(&format!("lib/modules/{}/{plain}", root.release))?,
            0o644,
            bytes,
        );
    }
    let compressed = archive.to_zstd().map_err(failed("compress"))?;
    publish(cache, &key, &compressed)?;
    Ok(compressed)
}

fn publish(cache: &Cache, key: &Sha256, bytes: &[u8]) -> Result<(), AssembleError> {
    cache.publish_derived(KIND, key, |file| {
        let failed =
            |source| AssembleError::File { what: "can't store the initrd".to_owned(), source };
        file.write_all(bytes).map_err(failed)
    })?;
    Ok(())
}

/// The digest of everything that decides the archive's bytes.
fn key(
    root: &Root,
    folder: &TreePath,
    modules: &BTreeSet<String>,
    init: &Sha256,
) -> Result<Sha256, AssembleError> {
    let mut text = format!("initrd 2\n{}\n{init}\n", root.release);
    for name in INDEXES.iter().copied().chain(modules.iter().map(String::as_str)) {
        let sha256 = match root.tree.get(&folder.join(name)?).map(|entry| &entry.kind) {
            Some(Kind::File(Content::Inline(bytes))) => Sha256::of(bytes),
            Some(Kind::File(Content::Packed { sha256, .. })) => *sha256,
            _ => return Err(AssembleError::Lacking(format!("/{folder}/{name}"))),
        };
        text += &format!("{name} {sha256}\n");
    }
    Ok(Sha256::of(text.as_bytes()))
}

/// Where a module is below `kernel/`.
fn below(path: &str) -> Option<&str> {
    path.strip_prefix("kernel/")
}

/// The chosen modules with all that they depend on.
fn chosen_modules(dependencies: &Dependencies, chosen: &Modules) -> BTreeSet<String> {
    dependencies.with_needs(|path| below(path).is_some_and(|below| chosen.keeps(below)))
}

/// The module without its compression.
fn unpack(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, AssembleError> {
    if !name.ends_with(".xz") {
        return Ok(bytes);
    }
    let failed =
        |source| AssembleError::File { what: format!("can't unpack the module {name}"), source };
    let mut plain = Vec::new();
    // One byte more than allowed, to notice that there is more.
    let mut decoder = liblzma::read::XzDecoder::new(bytes.as_slice()).take(LARGEST_MODULE + 1);
    decoder.read_to_end(&mut plain).map_err(failed)?;
    match plain.len() as u64 > LARGEST_MODULE {
        false => Ok(plain),
        true => Err(failed(std::io::Error::other(format!(
            "it is larger than {} MiB",
            LARGEST_MODULE >> 20
        )))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_modules_bring_what_they_depend_on_and_nothing_else() {
        let dependencies: Dependencies = [
            (
                "kernel/drivers/block/virtio_blk.ko.xz",
                &["kernel/drivers/virtio/virtio_ring.ko.xz", "kernel/drivers/virtio/virtio.ko.xz"]
                    [..],
            ),
            (
                "kernel/drivers/virtio/virtio_ring.ko.xz",
                &["kernel/drivers/virtio/virtio.ko.xz"][..],
            ),
            ("kernel/drivers/virtio/virtio.ko.xz", &[][..]),
            ("kernel/drivers/virtio/virtio_rng.ko.xz", &[][..]),
            ("kernel/fs/squashfs/squashfs.ko.xz", &[][..]),
            ("updates/fs/squashfs/squashfs.ko.xz", &[][..]),
        ]
        .into_iter()
        .map(|(path, needs)| {
            (path.to_owned(), needs.iter().map(|need| (*need).to_owned()).collect())
        })
        .collect();
        let chosen: Modules = ["drivers/block/virtio_*", "fs/squashfs"]
            .into_iter()
            .flat_map(|pattern| pattern.parse())
            .collect();
        let modules: Vec<String> = chosen_modules(&dependencies, &chosen).into_iter().collect();
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

    #[test]
    fn a_module_too_large_to_unpack_is_refused_not_cut_short() {
        use std::io::Write as _;
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        let mebibyte = vec![0; 1 << 20];
        for _ in 0..65 {
            encoder.write_all(&mebibyte).unwrap();
        }
        let packed = encoder.finish().unwrap();
        // The initrd once cut a module at 64 MiB.
        assert_eq!(unpack("x.ko.xz", packed).unwrap().len(), 65 << 20);
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        for _ in 0..=LARGEST_MODULE >> 20 {
            encoder.write_all(&mebibyte).unwrap();
        }
        let error = unpack("x.ko.xz", encoder.finish().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "can't unpack the module x.ko.xz: it is larger than 256 MiB");
    }
}
