//! What the programs of the appliance keep on disk, the same way in each of them.
//!
//! In: paths, contents, PEM texts. Out: files that are whole or not there, certificates that can be
//! read, the five files of a certificate replaced in one step, lines for the journal, and a process
//! that has become the owner of what it writes.

pub mod certificate;
pub mod certificate_folder;
pub mod durable;
pub mod journal;
pub mod owner;
