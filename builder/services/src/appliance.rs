//! The appliance: everything that runs, as one value.

use std::time::Duration;

use mailkiln_spec::{DEFAULT_INTERFACE, Network, Spec};
use mailkiln_tree::{Entry, TreePath};
use mailkiln_unit::Extent;

use crate::{
    ConfigFile, Disk, Firewall, HostFacts, Journal, KernelSetting, Machine, RenderError, Service,
    SlotSizes, User, acme, agent, clamav, cloud, declared, firewall, kernel, render, settings, ssh,
};

/// What the services must know about the board or cloud the image is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// Consoles on which the status is shown: `/dev/tty1`, `/dev/ttyS0`.
    pub consoles: Vec<String>,
    /// Those of them that others can read: no secret goes there.
    pub recorded_consoles: Vec<String>,
    /// Whether it serves the page where people change their password; a host has a web server of its own.
    pub password_page: bool,
    /// Sizes of the root slots on the disk.
    pub slots: SlotSizes,
    /// How long the hardware watchdog waits, where there is one.
    pub watchdog: Option<Duration>,
    /// Time servers of the provider, asked before Debian's.
    pub time_servers: Vec<String>,
    /// Whether the disk is a card that every write wears.
    pub worn_by_writes: bool,
    /// Whether it may reach the network by radio alone.
    pub wireless: bool,
    /// What a host decides; the default for an image.
    pub host: HostFacts,
}

/// Everything that runs on the appliance and everything it is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appliance {
    /// Fully qualified host name.
    pub host: String,
    /// IANA time zone; `/etc/localtime` is a link to it, made by the tree's fix-ups.
    pub timezone: String,
    /// Users of our own services.
    pub users: Vec<User>,
    /// What makes it a mail appliance, in the order in which it starts. The same on an image and
    /// on a NixOS host.
    pub services: Vec<Service>,
    /// What an image needs besides, and a host has already: firewall loader, remote shells, ClamAV.
    pub base: Vec<Service>,
    /// Directories below `/var` that several services share.
    pub directories: Vec<Directory>,
    /// What earlier versions kept in another place.
    pub takeovers: Vec<Takeover>,
    /// What may come in.
    pub firewall: Firewall,
    /// How the machine reaches the world.
    pub network: Network,
    /// How much of the log is kept.
    pub journal: Journal,
    /// Kernel settings.
    pub kernel: Vec<KernelSetting>,
    /// What the first boot makes of the disk.
    pub disk: Disk,
    /// What systemd itself is told about the machine.
    pub machine: Machine,
}

/// A directory that is made at boot and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    /// Absolute path.
    pub path: &'static str,
    /// Permission bits.
    pub mode: u16,
    /// Owner and group.
    pub owner: User,
    /// Whether all that is in it is given to them at each boot: it may come from a backup, or from a
    /// system with other numbers.
    pub whole: bool,
}

/// A directory that is copied at boot, with all that is in it, where its copy does not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Absolute path of what is copied, and stays.
    pub from: String,
    /// Absolute path of the copy.
    pub to: String,
}

/// What runs on the appliance that `spec` describes, on `target`. `spam_rules` is the text of
/// the spam filter's rule files in the mail server's TOML, one after the other.
pub fn appliance(spec: &Spec, target: &TargetFacts, spam_rules: &str) -> Appliance {
    let (mut services, mut base) = (Vec::new(), vec![firewall::loader()]);
    for (extent, declared) in declared::services() {
        let service = settings::applied(declared, spec, target, spam_rules);
        match extent {
            Extent::Base => base.extend(service),
            Extent::Everywhere | Extent::Images => services.extend(service),
        }
    }
    if spec.is_waiting {
        wait_for_fragment(&mut services, &mut base);
    }
    base.extend(clamav::services(spec));
    base.extend(spec.ssh.iter().flat_map(|ssh| ssh::services(ssh, spec.network.ipv6)));
    let mut users = declared::users(&[services.as_slice(), &base].concat());
    users.extend(clamav::users(spec));
    users.sort_by_key(|user| user.id);
    let dhcp = spec.network.addresses.is_empty();
    Appliance {
        host: spec.host.name.to_string(),
        timezone: spec.host.timezone.clone(),
        firewall: Firewall::of(services.iter().chain(&base), &users, dhcp, spec.network.ipv6),
        users,
        services,
        base,
        directories: declared::directories(),
        takeovers: vec![Takeover {
            from: format!("/var/lib/acme/{}", spec.host.name),
            to: format!("{}/{}", acme::CERTIFICATES, spec.host.name),
        }],
        network: network(spec, target),
        journal: if target.worn_by_writes { Journal::ON_A_CARD } else { Journal::DEFAULT },
        kernel: kernel::settings(spec.network.ipv6),
        disk: Disk::new(target.slots, target.worn_by_writes),
        machine: Machine {
            watchdog: target.watchdog,
            compress_memory: target.worn_by_writes,
            time_servers: target.time_servers.clone(),
        },
    }
}

/// An appliance that has no domain yet starts no mail service. The console says what they wait for.
fn wait_for_fragment(services: &mut [Service], base: &mut [Service]) {
    let mail = services.iter_mut().filter(|service| service.name != agent::CONSOLE);
    let page = base.iter_mut().filter(|service| service.name == agent::PAGE);
    for service in mail.chain(page) {
        service.condition = Some(cloud::FRAGMENT);
    }
}

/// The network of `mail.toml`; where nobody chose an interface, a radio is one too.
fn network(spec: &Spec, target: &TargetFacts) -> Network {
    let mut network = spec.network.clone();
    if target.wireless && network.interface == DEFAULT_INTERFACE {
        network.interface.push_str(" wl*");
    }
    network
}

impl Appliance {
    /// The users of our own services, for passwd and group.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// Everything that is started, first what an image needs as its base.
    pub fn all_services(&self) -> impl Iterator<Item = &Service> {
        self.base.iter().chain(&self.services)
    }

    /// Configuration files of all services, in the order of the services.
    pub fn config_files(&self) -> impl Iterator<Item = &ConfigFile> {
        self.all_services().flat_map(|service| &service.config_files)
    }

    /// Units of packages that an image must enable, in alphabetical order. The links of our own
    /// are among [`Self::tree_entries`].
    pub fn package_units(&self) -> &'static [&'static str] {
        &["systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service"]
    }

    /// Kernel modules that must be in the image though no device asks for them: the firewall's,
    /// and the loop device with which systemd-repart formats `/var`.
    pub fn kernel_modules(&self) -> &'static [&'static str] {
        &["loop", "nf_conntrack", "nf_tables", "nft_ct", "nft_limit"]
    }

    /// The files of an image: units, enablement links and configuration, sorted by path.
    ///
    /// # Errors
    /// [`RenderError`] when a value can't be written down in the format that needs it.
    pub fn tree_entries(&self) -> Result<Vec<(TreePath, Entry)>, RenderError> {
        render::tree_entries(self)
    }
}
