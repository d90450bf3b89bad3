//! Packages as layers of a tree, read without executing anything.
//!
//! In: `.deb` files, verified and in the cache. Out: [`Layer`]s (what a package puts where, and
//! what it says about itself) and packs of compressed contents, both cached, so that a package
//! is unpacked once; the [`assemble`]d tree; and the [`sbom`] of an image.

mod assemble;
mod copyright;
pub mod deb;
mod dpkg;
mod kernel;
mod layer;
mod library;
mod prune;
pub mod sbom;
mod unpack;

pub use assemble::{AssembleError, assemble};
pub use kernel::{BuildLists, LARGEST_MODULE};
pub use layer::{BadLayer, Layer, LayerEntry, LayerKind, Package};
pub use library::{Library, LibraryError, Progress, Silent, Unpacked, read_packed};
pub use prune::{KernelChoice, NoSuchModule, Policy, Rule, Verdict};
pub use unpack::{UnpackError, unpack_deb};

/// Entry points for fuzzing: each takes foreign bytes and must neither panic nor allocate
/// without bound, whatever they are.
pub mod fuzz {
    use mailkiln_squashfs::{PackWriter, Params};

    /// Unpacks `bytes` as a package.
    pub fn deb(bytes: &[u8]) {
        if let Ok(mut pack) = PackWriter::new(std::io::sink(), Params::default()) {
            let _ = crate::unpack_deb(bytes, &crate::Policy::default(), &mut pack);
        }
    }

    /// Walks `bytes` as an uncompressed tar archive of a package.
    pub fn members(bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        bytes.chunks_exact_mut(512).for_each(mend);
        let mut members = crate::deb::Members::new(&bytes[..], "data.tar", 1 << 30);
        while let Ok(Some(_)) = members.next() {
            let _ = members.content();
        }
    }

    /// Reads `bytes` as the cached index of a layer.
    pub fn layer(bytes: &[u8]) {
        let _ = crate::Layer::decode(bytes);
        // A fuzzer would not find the digest in the first line.
        let body =
            bytes.split_inclusive(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>().concat();
        let framed = [crate::layer::header(&body).into_bytes(), body].concat();
        if let Ok(layer) = crate::Layer::decode(&framed) {
            let _ = (layer.size(), layer.tree_entries().count());
        }
    }

    /// Reads `bytes` as a copyright file.
    pub fn copyright(bytes: &[u8]) {
        let _ = crate::copyright::licences(&String::from_utf8_lossy(bytes));
    }

    /// Corrects the checksum of a tar header, which a fuzzer would not find.
    fn mend(block: &mut [u8]) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
