//! A service of a unit, as `unit.toml` has it: all that does not depend on `mail.toml` or on the target.
//!
//! Times are whole seconds. What each word means for systemd is said where it is written down, in
//! `builder/services`.

use serde::Deserialize;

/// A program that systemd starts and watches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Unit name without `.service`.
    pub name: String,
    /// Its place among all services, in the order of their start.
    pub place: u16,
    /// One line for people.
    pub description: String,
    /// Absolute path of the program; the unit's own where none is named.
    pub program: Option<String>,
    /// Its arguments, unquoted.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Where there is such a service.
    #[serde(default)]
    pub on: Extent,
    /// How it tells that it is ready.
    #[serde(default)]
    pub kind: Kind,
    /// Who runs it: a user of a unit. Nobody named is root.
    pub user: Option<String>,
    /// Further groups whose files it may use.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Directories that are made for it under `/var/lib`, owned by `user`.
    #[serde(default)]
    pub state: Vec<StateDirectory>,
    /// A directory under `/run` that lives as long as the service.
    pub runtime_directory: Option<String>,
    /// Where it listens.
    #[serde(rename = "port", default)]
    pub ports: Vec<Port>,
    /// Secrets that are handed to it as files.
    #[serde(rename = "credential", default)]
    pub credentials: Vec<Credential>,
    /// Environment variables.
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
    /// Permission bits that new files never get.
    #[serde(default = "private")]
    pub umask: u16,
    /// What it may touch beyond the strict base.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Started after these have. Units are named in full: `network-online.target`.
    #[serde(default)]
    pub after: Vec<String>,
    /// Started before these are.
    #[serde(default)]
    pub before: Vec<String>,
    /// Pulled in; when one fails, this one does not start.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Pulled in; may fail.
    #[serde(default)]
    pub wants: Vec<String>,
    /// These pull this one in.
    #[serde(default)]
    pub wanted_by: Vec<String>,
    /// The time starts it again and again.
    pub every: Option<Every>,
    /// It starts when the file at this absolute path was written or replaced.
    pub when_changed: Option<String>,
    /// What happens when it ends by itself.
    #[serde(default)]
    pub restart: Restart,
    /// What it may use up.
    #[serde(default)]
    pub limits: Limits,
}

fn private() -> u16 {
    0o077
}

/// Where there is such a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// On images and on NixOS hosts.
    #[default]
    Everywhere,
    /// On images only, as part of what every service builds on.
    Base,
    /// On images only, in its place among the others: a host has its own way.
    Images,
}

/// How a service tells that it is ready: systemd.service(5), `Type=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs to its end; what it has done stays done until the next boot.
    #[default]
    Oneshot,
    /// Runs to its end, and may be started again then.
    Task,
    /// Ready as soon as it runs.
    Simple,
    /// Says `READY=1`.
    Notify,
    /// Says `READY=1`, and reloads on SIGHUP between `RELOADING=1` and `READY=1`.
    NotifyReload,
}

/// A directory below `/var/lib`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateDirectory {
    /// Path below `/var/lib`; its parents are made too.
    pub name: String,
    /// Permission bits.
    pub mode: u16,
}

/// A TCP port that a service listens on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What settings call it: `imaps`. No two ports have one name.
    pub name: String,
    /// Number, where the host does not choose another.
    pub number: u16,
    /// What is spoken there.
    pub purpose: String,
    /// From where it can be reached.
    pub reach: Reach,
    /// On loopback: the users that may connect, beside root.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Where systemd opens it, the name under which the service gets it: it then needs no capability for it.
    pub socket: Option<String>,
}

/// From where a port can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// From this machine only.
    Loopback,
    /// From everywhere; the firewall opens it.
    Public,
}

/// A secret that systemd reads as root and hands to the service alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// File name below `/run/credentials/NAME.service/`.
    pub name: String,
    /// Absolute path of the file that holds it, or the name of a system credential.
    pub source: String,
    /// Stands in when it does not exist; without it the service does not start then.
    pub fallback: Option<String>,
}

/// What a service may touch beyond the strict base: its exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Capabilities it keeps, though it does not run as root.
    pub capabilities: Vec<Capability>,
    /// Whom it may talk to.
    pub network: NetworkAccess,
    /// Whether it may list addresses and routes (`AF_NETLINK`).
    pub netlink: bool,
    /// Devices it may open.
    pub devices: Vec<Device>,
    /// Absolute paths it may write to, besides its state directories.
    pub writable: Vec<String>,
    /// Whether it may give its files to another group that it is in (`@chown`).
    pub change_group: bool,
    /// Whether it confines parts of itself further, by Landlock and seccomp.
    pub confines_itself: bool,
    /// Whether it must see the host's users and groups.
    pub host_users: bool,
    /// Whether it may read `/proc/sys`, `/proc/net` and the like.
    pub whole_proc: bool,
}

/// A capability: capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Listen on ports below 1024.
    NetBindService,
    /// Change the firewall.
    NetAdmin,
}

/// Whom a service may talk to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkAccess {
    /// Nobody: it lives in an empty network namespace. Unix sockets remain.
    #[default]
    None,
    /// Programs on this machine.
    Loopback,
    /// Programs on this machine and servers of the public Internet, but no machine of a private network. Name servers
    /// have to be on this machine.
    Public,
    /// Everybody.
    Internet,
    /// Nobody, but it sets up the host's network and so has to be in its namespace.
    Configures,
}

/// A device node that a service may open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Absolute path.
    pub path: String,
    /// What it may do with it.
    pub access: Access,
}

/// What a service may do with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Both.
    ReadWrite,
}

/// A timer, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// First so long after the start of the machine,
    pub first: u64,
    /// then so long after each start of the service,
    pub pause: u64,
    /// always by a random time of at most so much later.
    pub spread: u64,
}

/// What happens when a service ends by itself, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// After a failure it is started again: the first time after so long; 0 for never.
    pub first: u64,
    /// The longest pause, to which the pauses grow.
    pub longest: u64,
}

impl Default for Restart {
    fn default() -> Self {
        Self { first: 2, longest: 60 }
    }
}

/// What a service may use up. What is left out has systemd's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Percent of the machine's memory above which it is slowed down and its memory reclaimed.
    pub memory_high: Option<u8>,
    /// Percent of the machine's memory above which it is killed and restarted.
    pub memory_max: Option<u8>,
    /// Whether the rest of it goes on when the kernel kills one of its processes for want of memory.
    pub outlives_its_parts: bool,
    /// True for work that waits whenever others want the processor or the disk.
    pub background: bool,
    /// Threads and processes.
    pub tasks: Option<u32>,
    /// Open files and sockets.
    pub files: Option<u32>,
    /// Seconds that it may take to start.
    pub start: Option<u64>,
    /// Seconds that it may take to end before it is killed.
    pub stop: Option<u64>,
}
