//! A service: one program that the appliance runs, and everything it needs to run.

use std::time::Duration;

use mailkiln_unit::{Kind, Reach};

use crate::{ConfigFile, Confinement, Sandbox, User};

/// A program that systemd starts and watches. Everything here is a typed value; the text of a
/// unit, or of a NixOS module, is made from it in one place each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unit name without `.service`.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Absolute path of the program.
    pub program: &'static str,
    /// Its arguments, unquoted.
    pub arguments: Vec<String>,
    /// How it tells that it is ready.
    pub kind: Kind,
    /// Who runs it; `None` is root.
    pub user: Option<User>,
    /// Further groups whose files it may use.
    pub groups: Vec<&'static str>,
    /// Directories that are made for it under `/var/lib`, owned by `user`.
    pub state: Vec<StateDirectory>,
    /// A directory under `/run` that lives as long as the service.
    pub runtime_directory: Option<&'static str>,
    /// Where it listens.
    pub ports: Vec<Port>,
    /// What systemd opens for it, and hands over when it starts.
    pub sockets: Vec<Socket>,
    /// Secrets that are handed to it as files in `/run/credentials/NAME.service/`.
    pub credentials: Vec<Credential>,
    /// Environment variables, sorted by name.
    pub environment: Vec<(&'static str, String)>,
    /// Permission bits that new files never get.
    pub umask: u16,
    /// What it may touch.
    pub confinement: Confinement,
    /// When it starts.
    pub ordering: Ordering,
    /// It starts only where this path exists: `ConditionPathExists=`.
    pub condition: Option<&'static str>,
    /// What starts it again and again, beside the units that pull it in once.
    pub triggers: Vec<Trigger>,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// What it may use up.
    pub limits: Limits,
    /// Files it reads; a change of one restarts it on NixOS.
    pub config_files: Vec<ConfigFile>,
}

impl Service {
    /// A program that root runs once, in a sandbox, with nothing granted: what others start from.
    pub(crate) fn oneshot(
        name: &'static str,
        description: &'static str,
        program: &'static str,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            name,
            description,
            program,
            arguments,
            kind: Kind::Oneshot,
            user: None,
            groups: Vec::new(),
            state: Vec::new(),
            runtime_directory: None,
            ports: Vec::new(),
            sockets: Vec::new(),
            credentials: Vec::new(),
            environment: Vec::new(),
            umask: 0o077,
            confinement: Confinement::Sandboxed(Sandbox::default()),
            ordering: Ordering::default(),
            condition: None,
            triggers: Vec::new(),
            restart: Restart::OnFailure {
                first: Duration::from_secs(2),
                longest: Duration::from_secs(60),
            },
            limits: Limits::default(),
            config_files: Vec::new(),
        }
    }

    /// The unit's file name.
    pub fn unit(&self) -> String {
        format!("{}.service", self.name)
    }

    /// Whether it runs in a sandbox.
    pub fn is_sandboxed(&self) -> bool {
        matches!(self.confinement, Confinement::Sandboxed(_))
    }
}

/// A directory below `/var/lib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDirectory {
    /// Path below `/var/lib`; its parents are made too.
    pub name: &'static str,
    /// Permission bits.
    pub mode: u16,
}

/// A TCP port that a service listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// What settings call it.
    pub name: &'static str,
    /// Number.
    pub number: u16,
    /// What is spoken there.
    pub purpose: &'static str,
    /// From where it can be reached.
    pub reach: Reach,
    /// On loopback: the users that may connect, beside root.
    pub clients: &'static [String],
}

impl Port {
    /// A port as its unit declares it.
    pub(crate) fn of(port: &'static mailkiln_unit::Port) -> Self {
        Self {
            name: &port.name,
            number: port.number,
            purpose: &port.purpose,
            reach: port.reach,
            clients: &port.clients,
        }
    }

    /// Whether `user` may connect to it from this machine.
    pub(crate) fn admits(&self, user: &User) -> bool {
        self.clients.iter().any(|client| client == user.name)
    }
}

/// A socket that systemd opens: systemd.socket(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The name under which the service gets it.
    pub name: &'static str,
    /// Where it is: `443`, `0.0.0.0:443`, or the absolute path of a Unix socket, which the service's own group may use.
    pub address: String,
}

impl Socket {
    /// Whether it is a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.address.starts_with('/')
    }

    /// Its unit without `.socket`. A unit has one name for all that it opens, so each socket has its own.
    pub fn unit(&self, service: &Service) -> String {
        format!("{}-{}", service.name, self.name)
    }
}

/// A secret that systemd reads as root and hands to the service alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// File name below `/run/credentials/NAME.service/`.
    pub name: String,
    /// Absolute path of the file that holds it.
    pub source: String,
    /// Stands in when the file does not exist; without it the service does not start then.
    pub fallback: Option<&'static str>,
}

/// When a service starts. Units are named in full: `network-online.target`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordering {
    /// Started after these have.
    pub after: Vec<&'static str>,
    /// Started before these are.
    pub before: Vec<&'static str>,
    /// Pulled in; when one fails, this one does not start.
    pub requires: Vec<&'static str>,
    /// Pulled in; may fail.
    pub wants: Vec<&'static str>,
    /// These pull this one in.
    pub wanted_by: Vec<&'static str>,
    /// These pull this one in, and do not start when it fails.
    pub required_by: Vec<&'static str>,
    /// Starts before `sysinit.target`, without systemd's usual ordering.
    pub early: bool,
}

/// What starts a service again and again. A service has at most one of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The time.
    Every {
        /// First so long after the start of the machine,
        first: Duration,
        /// then so long after each start of the service,
        pause: Duration,
        /// always by a random time of at most so much later.
        spread: Duration,
    },
    /// The file at this absolute path was written or replaced.
    Changed(String),
    /// A file whose absolute path fits this pattern (glob(7)) is there.
    Present(String),
}

/// What happens when a service ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    Never,
    /// After a failure it is started again: the first time after `first`, then ever more slowly
    /// until there are `longest` between two attempts. It never gives up: nobody watches.
    OnFailure {
        /// Pause before the first attempt.
        first: Duration,
        /// Longest pause.
        longest: Duration,
    },
}

/// A part of the machine's memory in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(pub u8);

/// What a service may use up. `None` leaves systemd's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Above this its memory is reclaimed and it is slowed down.
    pub memory_high: Option<Share>,
    /// Above this it is killed (and restarted), not its neighbours.
    pub memory_max: Option<Share>,
    /// Whether the rest of it goes on when the kernel kills one of its processes for want of memory.
    pub outlives_its_parts: bool,
    /// True for work that waits whenever others want the processor or the disk.
    pub background: bool,
    /// Threads and processes.
    pub tasks: Option<u32>,
    /// Open files and sockets.
    pub files: Option<u32>,
    /// How long it may take to start.
    pub start: Option<Duration>,
    /// How long it may take to end before it is killed.
    pub stop: Option<Duration>,
}
