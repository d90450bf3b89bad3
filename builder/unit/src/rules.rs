//! What types can't say of a unit: names that fit, and numbers that no two units share.

use std::collections::BTreeSet;

use crate::manifest::{Place, Unit, UnitError};
use crate::service::{Reach, Service};

/// Numbers of our own users: below are Debian's own, above those of its packages.
const OWN_USERS: std::ops::RangeInclusive<u32> = 801..=899;
/// Systems users that belong to no unit.
const OTHERS: [&str; 1] = ["root"];

fn wrong(unit: &Unit, what: String, cure: &'static str) -> UnitError {
    UnitError::Value { unit: unit.name.clone(), what, cure }
}

/// What holds for one unit by itself.
pub(crate) fn alone(unit: &Unit) -> Result<(), UnitError> {
    let plain = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(fits)
    };
    let names = std::iter::once(&unit.name)
        .chain(unit.users.iter().map(|user| &user.name))
        .chain(unit.services.iter().map(|service| &service.name));
    for name in names {
        if !plain(name) {
            let cure = "write lower-case letters, digits and `-`";
            return Err(wrong(unit, format!("the name `{name}` does not fit"), cure));
        }
    }
    if ![String::from("units"), format!("units/{}", unit.name)].contains(&unit.build.workspace) {
        let cure = "write `units` or the unit's own folder";
        return Err(wrong(unit, format!("`workspace` is `{}`", unit.build.workspace), cure));
    }
    // Commands, packages and options of NixOS are named by the same rule.
    if unit.build.place == Place::Bin && unit.build.binary != format!("mailkiln-{}", unit.name) {
        let cure = "write `mailkiln-` and the unit's name";
        return Err(wrong(unit, format!("`binary` is `{}`", unit.build.binary), cure));
    }
    for bundled in &unit.bundled {
        let sha256 = &bundled.sha256;
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sha256.len() != 64 || !sha256.bytes().all(hex) {
            let cure = "write the SHA-256 of its archive, 64 lower-case digits";
            return Err(wrong(
                unit,
                format!("the digest of `{}` does not fit", bundled.name),
                cure,
            ));
        }
    }
    for user in &unit.users {
        if !OWN_USERS.contains(&user.id) {
            let cure = "write a number from 801 to 899 that no user has had before";
            return Err(wrong(
                unit,
                format!("the user {} has the number {}", user.name, user.id),
                cure,
            ));
        }
    }
    unit.services.iter().try_for_each(|service| one_service(unit, service))
}

fn one_service(unit: &Unit, service: &Service) -> Result<(), UnitError> {
    let Service { name, .. } = service;
    let paths =
        service.program.iter().chain(&service.sandbox.writable).chain(&service.when_changed);
    for path in paths {
        if !path.trim_start_matches('-').starts_with('/') {
            let cure = "write an absolute path";
            return Err(wrong(unit, format!("{name} names `{path}`"), cure));
        }
    }
    for port in &service.ports {
        if port.reach == Reach::Public && !port.clients.is_empty() {
            let cure = "`clients` is for ports on loopback";
            return Err(wrong(unit, format!("the port {} is open to all", port.name), cure));
        }
    }
    Ok(())
}

/// What holds for all units together.
///
/// # Errors
/// [`UnitError`] names a unit that is in another's way, or that names a user there is not.
pub fn together(units: &[Unit]) -> Result<(), UnitError> {
    let users: BTreeSet<&str> = units
        .iter()
        .flat_map(|unit| unit.users.iter().map(|user| user.name.as_str()))
        .chain(OTHERS)
        .collect();
    let mut taken = BTreeSet::new();
    for unit in units {
        let services = unit.services.iter();
        let own = [format!("order {}", unit.order), format!("program {}", unit.build.binary)]
            .into_iter()
            .chain(unit.users.iter().flat_map(|user| {
                [format!("user {}", user.name), format!("user number {}", user.id)]
            }))
            .chain(services.clone().map(|service| format!("service {}", service.name)))
            .chain(services.clone().flat_map(|service| {
                service.ports.iter().map(|port| format!("port named {}", port.name))
            }));
        for one in own {
            if !taken.insert(one.clone()) {
                let cure = "choose another: no two may have the same";
                return Err(wrong(unit, format!("{one} is there twice"), cure));
            }
        }
        let named = services
            .flat_map(|service| {
                service.user.iter().chain(service.ports.iter().flat_map(|port| &port.clients))
            })
            .chain(unit.directories.iter().map(|directory| &directory.owner))
            .chain(unit.health.iter().map(|health| &health.user));
        for name in named {
            if !users.contains(name.as_str()) {
                let cure = "name one of a [[user]] table, of this unit or another";
                return Err(wrong(unit, format!("there is no user `{name}`"), cure));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOY: &str = "order = 99\nsummary = 's'\ndescription = 'd'\n[build]\nworkspace = 'units/toy'\n\
                       package = 'mailkiln-toy'\nbinary = 'mailkiln-toy'\n";

    fn read(more: &str) -> Result<Unit, String> {
        let unit = Unit::read("toy", &format!("{TOY}{more}")).map_err(|error| error.to_string())?;
        together(std::slice::from_ref(&unit)).map_err(|error| error.to_string())?;
        Ok(unit)
    }

    #[test]
    fn mistakes_are_named_with_their_cure() {
        assert!(read("").is_ok());
        for (more, expected) in [
            ("colour = 1", "unknown field `colour`"),
            (
                "[[bundled]]\nname = 'x'\nversion = '1'\nlicence = 'MIT'\nsha256 = '00'",
                "the digest of `x` does not fit",
            ),
            ("[[user]]\nname = 'toy'\nid = 1000\npurpose = 'x'", "from 801 to 899"),
            ("[[user]]\nname = 'Toy'\nid = 850\npurpose = 'x'", "`Toy` does not fit"),
            (
                "[[service]]\nname = 'toy'\nplace = 1\ndescription = 'x'\nuser = 'toy'",
                "no user `toy`",
            ),
            (
                "[[service]]\nname = 'toy'\nplace = 1\ndescription = 'x'\nprogram = 'toy'",
                "absolute path",
            ),
        ] {
            let error = read(more).unwrap_err();
            assert!(
                error.starts_with("units/toy/unit.toml: ") && error.contains(expected),
                "{error}"
            );
        }
        assert!(Unit::read("other", TOY).unwrap_err().to_string().contains("`workspace`"));
    }

    #[test]
    fn what_two_units_share_is_refused() {
        let user = "[[user]]\nname = 'a'\nid = 850\npurpose = 'x'\n";
        let (one, other) = (read(user).unwrap(), read(&user.replace("'a'", "'b'")).unwrap());
        let mut both = vec![one, other];
        both[1].order = 98;
        both[1].name = "other".to_owned();
        both[1].build.binary = "x".to_owned();
        assert!(
            together(&both).unwrap_err().to_string().contains("user number 850 is there twice")
        );
        both[1].users[0].id = 851;
        assert!(together(&both).is_ok());
    }
}
