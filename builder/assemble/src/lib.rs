//! From a checked `mail.toml` to a disk: the layers of the builder, called in the order in which data flows.
//!
//! In: [`Inputs`], which decide every byte, and [`Tools`], which decide none. Out: the disk in a file that the caller
//! opened, and its bill of materials.
//!
//! [`assemble`] walks through the files in this order: `wanted` asks the services what they need, `parts` fetches,
//! unpacks and compiles it, `root` builds the tree, `microcode` and `initrd` what opens it, `firmware` what a board
//! needs before that, `bill` lists what went in. Where many images are made from the same parts, [`gather`] brings these
//! once, and [`assemble_from`] does the rest for each image. [`assemble_closure`] makes a disk from a NixOS system instead, and
//! [`store_objects`] makes Nix store paths from the same units instead of a disk.

mod bill;
mod closure;
mod compile;
mod error;
mod firmware;
mod image;
mod initrd;
mod inputs;
mod microcode;
mod parts;
mod root;
mod store;
mod tools;
mod units;
mod wanted;

pub use closure::{SystemDiskError, assemble_closure};
pub use error::AssembleError;
pub use image::{Assembled, assemble, assemble_from};
pub use inputs::{ClosureInputs, Inputs, UnitInputs};
pub use parts::{Parts, PartsKey, gather};
pub use store::{Exported, StoreError, store_objects};
pub use tools::{Progress, Supply, Tools, UnitCaches};
pub use units::{Compared, Exportable, compare, exportable};
pub use wanted::{SPAM_RULES, Wanted};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use mailkiln_spec::target::builtin_targets;

    use crate::Wanted;

    /// Reads `bytes` as a `mail.toml` and renders the files that it puts into the image of each built-in target.
    pub fn mail_toml(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (Ok(spec), Ok(targets)) = (mailkiln_spec::parse(&text), builtin_targets()) else {
            return;
        };
        for target in &targets {
            let _ = Wanted::of(&spec, &text, target);
        }
    }
}
