//! `mail.toml` and target files: parsed, checked, explained.
//!
//! In: their text. Out: [`Spec`], what the appliance shall be, and [`Target`](target::Target), what
//! it shall run on; or [`SpecErrors`], everything that is wrong, with places and cures. Also what
//! follows from a spec alone: its [DNS records](dns). Pure: no file system, no network, no clock.

mod address;
mod advice;
pub mod dns;
mod document;
mod domain_name;
mod file;
mod model;
mod problem;
mod roles;
mod rules;
mod schema;
mod shape;
mod size;
mod ssh_key;
pub mod target;
mod template;
mod timezone;

pub use address::Address;
pub use advice::advice;
pub use domain_name::DomainName;
pub use model::*;
pub use problem::{Flaw, Problem, SpecErrors};
pub use roles::ROLES;
pub use rules::parse;
pub use schema::json_schema;
pub use size::display as display_size;
pub use template::{DEFAULT, template};
