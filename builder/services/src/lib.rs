//! One model of what runs on the appliance, and its rendering for an image.
//!
//! In: a checked [`mailkiln_spec::Spec`], what the target is like, and the spam filter's rules.
//! Out: an [`Appliance`]: users, services with their sandboxes, firewall, network, disk and
//! configuration files as values. [`Appliance::tree_entries`] turns it into the files of a root
//! tree; the NixOS generator renders the same value as modules. Pure: no file system, no clock.

mod acme;
mod agent;
mod appliance;
mod appliance_json;
mod clamav;
mod cloud;
mod config_file;
mod disk;
mod facts;
mod filter;
mod firewall;
mod host;
mod journal;
mod kernel;
mod machine;
mod mail_server;
mod render;
mod sandbox;
mod seed;
mod service;
mod ssh;
mod user;

pub use appliance::{Appliance, Directory, Takeover, TargetFacts, appliance};
pub use config_file::ConfigFile;
pub use disk::{Disk, SlotSizes};
pub use facts::FactsError;
pub use firewall::{Firewall, FloodLimit, LocalPort, OpenPort};
pub use host::{BroughtCertificate, HostFacts, Resolver};
pub use journal::Journal;
pub use kernel::KernelSetting;
pub use machine::Machine;
pub use render::{Directive, RenderError};
pub use sandbox::{Access, Capability, Confinement, Device, NetworkAccess, Sandbox};
pub use service::{
    Credential, Kind, Limits, Ordering, Port, Reach, Restart, Service, Share, StateDirectory,
    Trigger,
};
pub use user::User;
