//! The service model as NixOS modules, and a `mail.toml` as the flake of one host.
//!
//! In: [`mailkiln_services::Appliance`] and the schema of `mail.toml`, from which an image's units and
//! files are made too. Out: the text of `.nix` files, formatted and parsed. Pure.

mod drop_in;
mod host;
mod model;
mod modules;
mod options;
mod reference;
mod source;
mod units;
mod value;

pub use drop_in::drop_ins;
pub use host::host;
pub use model::on_a_host;
pub use modules::{IMAGE_ONLY, ModulesError, modules, options_reference};
pub use source::{BadNix, Source};
pub use value::{Piece, Value};
