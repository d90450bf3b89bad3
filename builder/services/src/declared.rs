//! The services, users and directories of the units, as their `unit.toml` has them.
//!
//! In: [`mailkiln_unit::units`]. Out: the same in the terms of this crate. What `mail.toml` and the target change in
//! them is in `settings.rs`.

use std::time::Duration;

use mailkiln_unit::{Extent, Unit, units};

use crate::{
    Confinement, Credential, Device, Directory, Limits, Ordering, Port, Restart, Sandbox, Service,
    Share, Socket, StateDirectory, Trigger, User, user,
};

/// Every service of every unit, in the order of their start, and where it belongs.
pub(crate) fn services() -> Vec<(Extent, Service)> {
    let mut all: Vec<_> = units()
        .iter()
        .flat_map(|unit| unit.services.iter().map(move |service| (unit, service)))
        .collect();
    all.sort_by_key(|(_, service)| service.place);
    all.into_iter().map(|(unit, declared)| (declared.on, service(unit, declared))).collect()
}

/// The directories that services share; those of root last.
pub(crate) fn directories() -> Vec<Directory> {
    let mut all: Vec<Directory> = units()
        .iter()
        .flat_map(|unit| &unit.directories)
        .map(|directory| Directory {
            path: &directory.path,
            mode: directory.mode,
            owner: named(&directory.owner).unwrap_or(user::ROOT),
            whole: directory.whole,
        })
        .collect();
    all.sort_by_key(|directory| directory.owner == user::ROOT);
    all
}

/// The users of the units, where `services` are all that run: some are only there with their service.
pub(crate) fn users(services: &[Service]) -> Vec<User> {
    let runs = |name: &str| services.iter().any(|it| it.user.is_some_and(|user| user.name == name));
    let users = units().iter().flat_map(|unit| &unit.users);
    users.filter(|user| !user.only_with_service || runs(&user.name)).map(User::of).collect()
}

/// A unit's user by name.
pub(crate) fn named(name: &str) -> Option<User> {
    mailkiln_unit::user(name).map(User::of)
}

fn service(unit: &'static Unit, declared: &'static mailkiln_unit::Service) -> Service {
    let program = declared.program.as_deref().unwrap_or(unit.program());
    let limits = &declared.limits;
    let seconds = |number: Option<u64>| number.map(Duration::from_secs);
    Service {
        kind: declared.kind,
        user: declared.user.as_deref().and_then(named),
        groups: words(&declared.groups),
        state: declared
            .state
            .iter()
            .map(|state| StateDirectory { name: &state.name, mode: state.mode })
            .collect(),
        runtime_directory: declared.runtime_directory.as_deref(),
        ports: declared.ports.iter().map(Port::of).collect(),
        sockets: declared
            .ports
            .iter()
            .filter_map(|port| {
                let address = port.number.to_string();
                port.socket.as_deref().map(|name| Socket { name, address })
            })
            .collect(),
        credentials: declared
            .credentials
            .iter()
            .map(|credential| Credential {
                name: credential.name.clone(),
                source: credential.source.clone(),
                fallback: credential.fallback.as_deref(),
            })
            .collect(),
        environment: declared
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect(),
        umask: declared.umask,
        confinement: Confinement::Sandboxed(sandbox(&declared.sandbox)),
        ordering: Ordering {
            after: words(&declared.after),
            before: words(&declared.before),
            requires: words(&declared.requires),
            wants: words(&declared.wants),
            wanted_by: words(&declared.wanted_by),
            ..Ordering::default()
        },
        triggers: triggers(declared),
        restart: match declared.restart {
            mailkiln_unit::Restart { first: 0, .. } => Restart::Never,
            mailkiln_unit::Restart { first, longest } => Restart::OnFailure {
                first: Duration::from_secs(first),
                longest: Duration::from_secs(longest),
            },
        },
        limits: Limits {
            memory_high: limits.memory_high.map(Share),
            memory_max: limits.memory_max.map(Share),
            outlives_its_parts: limits.outlives_its_parts,
            background: limits.background,
            tasks: limits.tasks,
            files: limits.files,
            start: seconds(limits.start),
            stop: seconds(limits.stop),
        },
        ..Service::oneshot(
            &declared.name,
            &declared.description,
            program,
            declared.arguments.clone(),
        )
    }
}

fn sandbox(declared: &'static mailkiln_unit::Sandbox) -> Sandbox {
    Sandbox {
        capabilities: declared.capabilities.clone(),
        network: declared.network,
        peers: Vec::new(),
        netlink: declared.netlink,
        devices: declared
            .devices
            .iter()
            .map(|device| Device { path: device.path.clone(), access: device.access })
            .collect(),
        writable: words(&declared.writable),
        programs: Vec::new(),
        change_group: declared.change_group,
        confines_itself: declared.confines_itself,
        host_users: declared.host_users,
        whole_proc: declared.whole_proc,
    }
}

fn triggers(declared: &mailkiln_unit::Service) -> Vec<Trigger> {
    let every = declared.every.map(|every| Trigger::Every {
        first: Duration::from_secs(every.first),
        pause: Duration::from_secs(every.pause),
        spread: Duration::from_secs(every.spread),
    });
    every.into_iter().chain(declared.when_changed.clone().map(Trigger::Changed)).collect()
}

fn words(list: &'static [String]) -> Vec<&'static str> {
    list.iter().map(String::as_str).collect()
}
