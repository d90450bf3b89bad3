//! What the services of an appliance want from its image.
//!
//! In: a spec and a target. Out: [`Wanted`]: kernel modules, files, users and units. Every later step reads this value;
//! none asks the services itself.

use std::time::Duration;

use mailkiln_services::{Appliance, HostFacts, Service, SlotSizes, TargetFacts, appliance};
use mailkiln_spec::target::Target;
use mailkiln_spec::{Spec, for_the_image};
use mailkiln_tree::{Content, Entry, Kind, Owner, TreePath, User};

use crate::AssembleError;
use crate::root::ORIGIN;

/// The mail server's spam rules, in the order of their files.
pub const SPAM_RULES: &str = concat!(
    include_str!("../../../units/mail-server/spam/10-scores.toml"),
    include_str!("../../../units/mail-server/spam/20-rules.toml"),
    include_str!("../../../units/mail-server/spam/30-lists.toml"),
);
/// The lock's set for machines that have a radio.
const WIFI: &str = "wifi";

/// What the services want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Fully qualified host name.
    pub host: String,
    /// Name in the time zone database.
    pub time_zone: String,
    /// Kernel modules, by name.
    pub modules: Vec<String>,
    /// Units, enablement links and configuration, sorted by path.
    pub entries: Vec<(TreePath, Entry)>,
    /// Users of the services.
    pub users: Vec<User>,
    /// Units of packages that start at boot.
    pub enable: Vec<String>,
}

impl Wanted {
    /// Asks the services of the appliance that `spec` describes, on `target`.
    ///
    /// # Errors
    /// [`AssembleError::Render`] when a value can't be written in the format that needs it.
    pub fn of(spec: &Spec, mail_toml: &str, target: &Target) -> Result<Self, AssembleError> {
        let facts = facts(target);
        let appliance = appliance(spec, &facts, SPAM_RULES);
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut entries = appliance.tree_entries()?;
        entries.extend(for_fragments(mail_toml, &facts)?);
        Ok(Self {
            modules: owned(appliance.kernel_modules()),
            entries,
            users: users(&appliance),
            enable: owned(appliance.package_units()),
            host: appliance.host,
            time_zone: appliance.timezone,
        })
    }
}

/// What the agent renders a fragment with: `units/agent/src/cloud/fragment.rs` reads it.
fn for_fragments(
    mail_toml: &str,
    facts: &TargetFacts,
) -> Result<[(TreePath, Entry); 3], AssembleError> {
    let entry = |path: &str, text: String| -> Result<_, AssembleError> {
        let kind = Kind::File(Content::Inline(text.into_bytes().into()));
        let entry = Entry { kind, mode: 0o644, owner: Owner::default(), origin: ORIGIN.into() };
        Ok((TreePath::parse(path)?, entry))
    };
    Ok([
        entry("usr/share/mailkiln/mail.toml", for_the_image(mail_toml).unwrap_or_default())?,
        entry("usr/share/mailkiln/target.json", facts.to_json())?,
        entry("usr/share/mailkiln/spam-rules.toml", SPAM_RULES.to_owned())?,
    ])
}

fn facts(target: &Target) -> TargetFacts {
    let (disk, hardware) = (target.disk, target.hardware);
    let recorded = target.consoles.iter().filter(|console| console.is_recorded());
    TargetFacts {
        consoles: target.consoles.iter().map(|console| console.path()).collect(),
        recorded_consoles: recorded.map(|console| console.path()).collect(),
        password_page: true,
        slots: SlotSizes { root: disk.root.bytes(), verity: disk.verity.bytes() },
        watchdog: hardware.watchdog.map(|seconds| Duration::from_secs(seconds.into())),
        time_servers: target.provider.time_servers.clone(),
        worn_by_writes: hardware.worn_by_writes,
        host: HostFacts::default(),
        wireless: target.packages.sets.iter().any(|set| set == WIFI),
    }
}

fn users(appliance: &Appliance) -> Vec<User> {
    // The first directory of the first service that the user runs; one that keeps nothing has no home.
    let home = |name: &str| {
        let own = |service: &&Service| service.user.is_some_and(|user| user.name == name);
        let state = appliance.all_services().filter(own).flat_map(|service| &service.state).next();
        state.map_or_else(|| "/".to_owned(), |state| format!("/var/lib/{}", state.name))
    };
    let of = |user: &mailkiln_services::User| User {
        name: user.name.to_owned(),
        number: user.id,
        comment: user.purpose.to_owned(),
        home: home(user.name),
        shell: None,
        groups: Vec::new(),
    };
    appliance.users().iter().map(of).collect()
}
