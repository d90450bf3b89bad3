//! What a service may touch: a strict base, and the exceptions that each service asks for.
//!
//! The base (rendered in `render/sandbox.rs`, each line with its reason) gives no capability, no
//! device, no network, no view of other processes, a read-only file system without homes, and
//! the system calls of an ordinary service. A [`Sandbox`] names only what is *added* to that, so
//! a review of a service is a review of its exceptions.

use std::net::IpAddr;

use mailkiln_unit::{Access, Capability, NetworkAccess};

/// Whether a service is locked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confinement {
    /// In the strict base with these exceptions.
    Sandboxed(Sandbox),
    /// Not at all, for a reason: what it starts must be able to do everything.
    Unconfined {
        /// Why.
        reason: &'static str,
    },
}

/// The exceptions from the strict base. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Capabilities it keeps, though it does not run as root. None means that not even a
    /// compromised service can get one.
    pub capabilities: Vec<Capability>,
    /// Whom it may talk to.
    pub network: NetworkAccess,
    /// Machines that it may talk to though its network is [`NetworkAccess::Loopback`].
    pub peers: Vec<IpAddr>,
    /// Whether it may list addresses and routes (`AF_NETLINK`).
    pub netlink: bool,
    /// Devices it may open.
    pub devices: Vec<Device>,
    /// Absolute paths it may write to, besides its state directories.
    pub writable: Vec<&'static str>,
    /// Absolute paths, outside of the image's own programs, of programs that it may start.
    pub programs: Vec<String>,
    /// Whether it may give its files to another group that it is in (`@chown`); the base refuses
    /// the system call even where the kernel would not.
    pub change_group: bool,
    /// Whether it confines parts of itself further, by Landlock and seccomp: the base has no such
    /// system calls where systemd is older than 254.
    pub confines_itself: bool,
    /// Whether it must see the host's users and groups: needed to hand files to another group,
    /// and for capabilities that count outside a user namespace.
    pub host_users: bool,
    /// Whether it may read `/proc/sys`, `/proc/net` and the like.
    pub whole_proc: bool,
}

/// A device node that a service may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Absolute path.
    pub path: String,
    /// What it may do with it.
    pub access: Access,
}
