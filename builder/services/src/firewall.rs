//! The firewall: closed but for the listed ports.

use std::time::Duration;

use crate::{
    Capability, Confinement, Limits, NetworkAccess, Ordering, Port, Reach, Restart, Sandbox,
    Service, User, declared, user,
};

/// What may come in. Everything may go out: a mail server must reach any host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// TCP ports open to the world, sorted by number.
    pub open: Vec<OpenPort>,
    /// TCP ports on loopback, sorted by number, each with the users that may connect.
    pub local: Vec<LocalPort>,
    /// Who alone may ask metadata services: they hand out what the owner passes on, and in some clouds
    /// credentials, to whoever connects.
    pub metadata: User,
    /// New connections that one source may open.
    pub flood: FloodLimit,
    /// Whether addresses come by DHCP, so that its answers must be let in.
    pub dhcp: bool,
    /// Whether IPv6 is used.
    pub ipv6: bool,
}

/// A TCP port that is open to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPort {
    /// Number.
    pub number: u16,
    /// What is spoken there.
    pub purpose: &'static str,
}

/// A TCP port on loopback: what is spoken there trusts whoever connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPort {
    /// Number.
    pub number: u16,
    /// What is spoken there.
    pub purpose: &'static str,
    /// Who may connect, root always among them: sorted by number.
    pub users: Vec<User>,
}

/// Addresses of metadata services: of nearly all clouds; of Azure's wireserver.
pub(crate) const METADATA4: [&str; 2] = ["169.254.169.254", "168.63.129.16"];
/// The same over IPv6: of EC2, of Oracle, of Hetzner.
pub(crate) const METADATA6: [&str; 3] = ["fd00:ec2::254", "fd00:c1::a9fe:a9fe", "fe80::a9fe:a9fe"];

/// A token bucket for each source: an IPv4 address, or an IPv6 /64, since that is what one
/// customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodLimit {
    /// Connections in each second that refill the bucket.
    pub per_second: u32,
    /// Size of the bucket.
    pub burst: u32,
    /// When a source that is silent is forgotten.
    pub forget_after: Duration,
    /// Sources that are remembered at once; memory is bounded by it.
    pub sources: u32,
}

/// A busy relay or an office behind one address stays far below this; a flood does not. The mail
/// server has finer limits of its own.
const FLOOD: FloodLimit = FloodLimit {
    per_second: 20,
    burst: 200,
    forget_after: Duration::from_secs(60),
    sources: 65_536,
};

impl Firewall {
    /// Opens the public ports of `services`, lets those to ports on loopback that may connect, and nothing else.
    pub(crate) fn of<'a>(
        services: impl Iterator<Item = &'a Service>,
        users: &[User],
        dhcp: bool,
        ipv6: bool,
    ) -> Self {
        let ports: Vec<&Port> = services.flat_map(|service| &service.ports).collect();
        let mut local: Vec<LocalPort> = ports
            .iter()
            .filter(|port| port.reach == Reach::Loopback)
            .map(|port| LocalPort {
                number: port.number,
                purpose: port.purpose,
                users: std::iter::once(user::ROOT)
                    .chain(users.iter().filter(|user| port.admits(user)).copied())
                    .collect(),
            })
            .collect();
        local.sort_by_key(|port| port.number);
        let mut open: Vec<OpenPort> = ports
            .iter()
            .filter(|port| port.reach == Reach::Public)
            .map(|port| OpenPort { number: port.number, purpose: port.purpose })
            .collect();
        open.sort_by_key(|port| port.number);
        open.dedup_by_key(|port| port.number);
        Self {
            open,
            local,
            metadata: declared::named(user::AGENT).unwrap_or(user::ROOT),
            flood: FLOOD,
            dhcp,
            ipv6,
        }
    }
}

/// Where the rules are.
pub(crate) const RULES: &str = "/etc/mailkiln/firewall.nft";

/// Loads the rules before any network comes up. Ours rather than the package's unit, since that
/// one runs with all of root's powers.
pub(crate) fn loader() -> Service {
    Service {
        confinement: Confinement::Sandboxed(Sandbox {
            capabilities: vec![Capability::NetAdmin],
            network: NetworkAccess::Configures,
            netlink: true,
            // Its capability has to count for the host's network.
            host_users: true,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            before: vec!["network-pre.target", "systemd-networkd.service", "shutdown.target"],
            wants: vec!["network-pre.target"],
            wanted_by: vec!["sysinit.target"],
            // Rules that cannot be loaded leave the machine without a network, not without a firewall.
            required_by: vec!["systemd-networkd.service"],
            early: true,
            ..Ordering::default()
        },
        restart: Restart::Never,
        limits: Limits { start: Some(Duration::from_secs(60)), ..Limits::default() },
        ..Service::oneshot(
            "mailkiln-firewall",
            "Close all ports but those of mail.toml",
            "/usr/sbin/nft",
            vec!["--file".to_owned(), RULES.to_owned()],
        )
    }
}
