//! `mail.toml` and target files: parsed, checked, explained.
//!
//! In: their text. Out: [`Spec`], what the appliance shall be, and [`Target`](target::Target), what
//! it runs on; or [`SpecErrors`], everything that is wrong, with places and cures. Pure: no file
//! system, no network, no clock.

mod address;
mod advice;
mod certificate;
mod document;
mod domain_name;
mod examples;
mod file;
mod filter;
mod fragment;
mod model;
mod problem;
mod roles;
mod rules;
mod schema;
mod shape;
mod size;
mod ssh_key;
pub mod target;
mod timezone;

pub use address::Address;
pub use advice::advice;
pub use certificate::Certificate;
pub use domain_name::DomainName;
pub use examples::{DEFAULT, GENERIC};
pub use filter::{ClamAv, Filter, FilterAction, FilterActions, FilterClass, OnFailure, RuleSource};
pub use fragment::{FragmentRule, for_the_image, parse_with_fragment};
pub use model::*;
pub use problem::{Flaw, Problem, SpecErrors, shown};
pub use roles::ROLES;
pub use rules::{DEFAULT_INTERFACE, parse, static_network};
pub use schema::json_schema;
pub use size::display as display_size;
pub use ssh_key::parse as parse_ssh_key;

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::{SpecErrors, advice, target};

    /// Reads `bytes` as a `mail.toml`.
    pub fn mail_toml(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match crate::parse(&text) {
            Ok(spec) => {
                let _ = advice(&spec);
            }
            Err(errors) => expect_places(&errors, &text),
        }
    }

    /// Reads `bytes` as a fragment for the demonstration's image.
    pub fn fragment(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let allowed = ["host.name", "domain", "account", "relay", "mail"];
        if let Err(errors) = crate::parse_with_fragment(crate::DEFAULT, &text, &allowed) {
            expect_places(&errors, &text);
        }
    }

    /// Reads `bytes` as a target file.
    pub fn target(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if let Err(errors) = target::parse("x86_64", &text, &target::Shared::default()) {
            expect_places(&errors, &text);
        }
    }

    /// A report draws the place of each problem, so it must be one.
    fn expect_places(errors: &SpecErrors, text: &str) {
        for problem in errors.problems() {
            assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        }
    }
}
