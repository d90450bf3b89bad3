//! The root file system as a value: path → directory, file or symlink.
//!
//! In: entries from packages, compiled units and rendered services. Out: one sorted [`Tree`]
//! that the squashfs writer turns into bytes. Contents are held by reference (a digest), so a
//! tree of 10,000 files is a few megabytes. [`finish`] adds what maintainer scripts would have
//! written. Pure: no file system, no network, no clock.

mod accounts;
mod certificates;
pub mod depmod;
mod draft;
mod enablement;
mod entry;
mod finish;
mod identity;
mod login;
mod names;
mod path;
mod privileges;
mod skeleton;
mod state;
mod usrmerge;

pub use accounts::User;
pub use draft::{Contents, FixupError, NothingPacked};
pub use enablement::Enablement;
pub use entry::{Conflict, Content, Entry, Kind, Owner, Tree};
pub use finish::{Boot, Finished, FixupInput, finish};
pub use identity::Identity;
pub use path::{BadPath, TreePath};
pub use usrmerge::place;

/// Entry points for fuzzing: each takes foreign bytes and must neither panic nor allocate
/// without bound, whatever they are.
pub mod fuzz {
    use crate::depmod::{KernelLists, Module, ModuleInfo, indexes};

    /// Reads `bytes` as a kernel module and makes its indexes.
    pub fn module(bytes: &[u8]) {
        if let Ok(info) = ModuleInfo::parse(bytes) {
            let module = Module { path: "kernel/x.ko".to_owned(), info };
            let lists = KernelLists { builtin_modinfo: bytes, ..KernelLists::default() };
            let _ = indexes(&[module], lists);
        }
    }

    /// Takes `bytes` for a text file of a package that fix-ups read; the first byte chooses which.
    pub fn fixups(bytes: &[u8]) {
        crate::finish::fuzz(bytes);
    }
}
