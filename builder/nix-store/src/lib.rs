//! Store paths, NARs and binary caches as Nix reads them.
//!
//! In: trees of bytes, a key, the files of a foreign cache. Out: the files of a cache, and what is wrong with one.
//! Nothing here touches a file system. See README.md.

mod entry;
mod fault;
mod info;
mod key;
mod launcher;
mod linkage;
mod object;
mod shape;
mod tree;
mod verify;

#[cfg(test)]
mod verify_tests;

pub use entry::{Entry, EntryError, add_signature};
pub use fault::{Fault, Flaw};
pub use info::{CacheInfo, CacheInfoError, INFO_NAME};
pub use key::{KeyError, SecretKey, signed_by};
pub use launcher::{Launch, LaunchError, launcher};
pub use linkage::{Linkage, LinkageError};
pub use nix_archive::nar::Error as NarError;
pub use nix_derivation::{NixHash, StorePath};
pub use nix_narinfo::{MAX_NARINFO_SIZE, NarInfo, TrustedPublicKey};
pub use object::{ObjectError, StoreObject};
pub use shape::{Count, Shape, each_file};
pub use tree::Node;
pub use verify::{CacheFiles, ReadNar, Verified, read_archive, trusted_record, verify};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use std::io;

    use crate::verify::{CacheFiles, check_nar, verify};

    /// Reads `bytes` as a NAR.
    pub fn nar(bytes: &[u8]) {
        let checked = check_nar(&mut &*bytes);
        let shape = crate::Shape::read(&mut &*bytes);
        assert!(checked.is_ok() || shape.is_err(), "what is no archive has no shape");
        let mut files = 0;
        let seen = crate::each_file(&mut &*bytes, &mut |_, _, contents| {
            files += 1;
            std::io::copy(contents, &mut std::io::sink()).map(drop)
        });
        if let (Ok(shape), Ok(())) = (shape, seen) {
            assert_eq!(shape.count().files, files, "the shape has the files of the archive");
        }
    }

    /// Verifies a cache whose only record and only NAR are `bytes`.
    pub fn narinfo(bytes: &[u8]) {
        let _ = verify(&Single(bytes), &[]);
    }

    /// Reads `bytes` as `nix-cache-info`, a key and a program.
    pub fn texts(bytes: &[u8]) {
        let _ = crate::Linkage::read(bytes);
        if let Ok(text) = str::from_utf8(bytes) {
            let _ = crate::CacheInfo::parse(text);
            let _ = crate::SecretKey::parse(text);
            let _ = crate::TrustedPublicKey::parse(text);
        }
    }

    struct Single<'a>(&'a [u8]);

    impl CacheFiles for Single<'_> {
        fn records(&self) -> io::Result<Vec<String>> {
            Ok(vec!["00000000000000000000000000000000.narinfo".to_owned()])
        }

        fn open(&self, _: &str) -> io::Result<Box<dyn io::Read + '_>> {
            Ok(Box::new(self.0))
        }
    }
}
