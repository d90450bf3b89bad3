//! The units of the appliance: programs of ours, and all that others must know of each.
//!
//! In: `units/*/unit.toml`, embedded when this crate is compiled. Out: [`Unit`]s as values. Pure.

mod manifest;
mod rules;
mod service;

use std::sync::LazyLock;

pub use manifest::{Build, Bundled, Directory, Health, Nix, Place, Tests, Unit, UnitError, User};
pub use rules::together;
pub use service::{
    Access, Capability, Credential, Device, Every, Extent, Kind, Limits, NetworkAccess, Port,
    Reach, Restart, Sandbox, Service, StateDirectory,
};

/// Name and text of each `unit.toml`, sorted by name.
const TEXTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/units.rs"));

static UNITS: LazyLock<Vec<Unit>> = LazyLock::new(|| {
    // build.rs has read the same texts with the same code: none is left out here.
    let mut units: Vec<Unit> =
        TEXTS.iter().filter_map(|(name, text)| Unit::read(name, text).ok()).collect();
    units.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    units
});

/// Every unit, in the order of `order`.
pub fn units() -> &'static [Unit] {
    &UNITS
}

/// The unit with this name.
pub fn unit(name: &str) -> Option<&'static Unit> {
    units().iter().find(|unit| unit.name == name)
}

/// The names of all units, in their order.
pub fn names() -> Vec<&'static str> {
    units().iter().map(|unit| unit.name.as_str()).collect()
}

/// The user with this name, of whichever unit.
pub fn user(name: &str) -> Option<&'static User> {
    units().iter().flat_map(|unit| &unit.users).find(|user| user.name == name)
}

/// The service with this name, and the unit that has it.
pub fn service(name: &str) -> Option<(&'static Unit, &'static Service)> {
    let mut services =
        units().iter().flat_map(|unit| unit.services.iter().map(move |service| (unit, service)));
    services.find(|(_, service)| service.name == name)
}

/// The port with this name, of whichever service.
pub fn port(name: &str) -> Option<&'static Port> {
    let services = units().iter().flat_map(|unit| &unit.services);
    services.flat_map(|service| &service.ports).find(|port| port.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_units_keep_their_order() {
        assert_eq!(units().len(), TEXTS.len());
        let named: Vec<&str> = names();
        assert!(
            named.starts_with(&["init", "agent", "acme", "filter", "mail-server"]),
            "{named:?}"
        );
        assert_eq!(user("mail-filter").map(|user| user.id), Some(805));
        assert_eq!(
            service("mailkiln-certificate").map(|(unit, _)| unit.name.as_str()),
            Some("acme")
        );
        assert_eq!(port("imaps").map(|port| port.number), Some(993));
        assert!(together(units()).is_ok());
    }
}
