//! The ACME client of a Mailkiln appliance, as a library so that its parts can be tested.
//!
//! In: `/etc/mailkiln/acme.json`, the state of earlier runs, an authority that speaks RFC 8555. Out:
//! the five files of each certificate in `/var/lib/mailkiln-acme/live`, and what was done and what was not.
//! A run (`run`) looks after one certificate after the other (`renewal`): it asks what is due (`schedule`),
//! which names point here (`names`), and obtains it (`order`).

pub mod account;
pub mod arguments;
pub mod authority;
pub mod budget;
pub mod challenge;
pub mod clock;
pub mod command;
pub mod key;
pub mod layout;
pub mod lock;
pub mod names;
pub mod order;
pub mod renewal;
pub mod request;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod state;
pub mod tlsa;

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::{challenge, settings, state};

    /// Reads `bytes` as settings, as the state of earlier runs and as what a stranger sends to the
    /// port of the challenge.
    pub fn acme(bytes: &[u8]) {
        let _ = serde_json::from_slice::<settings::Settings>(bytes);
        let _ = serde_json::from_slice::<state::State>(bytes);
        let _ = challenge::http_01::token(bytes);
    }
}
