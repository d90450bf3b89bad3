//! What the programs of the appliance keep on disk, the same way in each of them.
//!
//! In: paths, contents, PEM texts. Out: files that are whole or not there, certificates that can be
//! read, the five files of a certificate replaced in one step, lines for the journal.

pub mod certificate;
pub mod certificate_folder;
pub mod durable;
pub mod journal;
