//! The bill of materials of an image.
//!
//! In: its packages, crates, programs and boot files. Out: an SPDX 2.3 document.

use std::collections::BTreeSet;

use mailkiln_compile::{BuiltBy, Origin};
use mailkiln_sources::sbom::{Part, Sbom};
use mailkiln_unit_cache::PROGRAMS;

use super::materials::Materials;
use super::{AssemblyError, ClosureOrder, Order, root};

/// Debian's release number, for package URLs.
const RELEASE: &str = "13";

/// The document, one part per package, crate and program.
pub(super) fn write(order: &Order<'_>, materials: &Materials) -> Result<String, AssemblyError> {
    let packages = materials.layers.iter().chain(&materials.boot).map(|layer| &layer.package);
    let mut parts: BTreeSet<Part> = Part::all_debian(packages, RELEASE).into_iter().collect();
    let version = root::version(order);
    for unit in &materials.units {
        for used in &unit.crates {
            if let Some(sha256) = used.sha256 {
                parts.insert(Part::krate(
                    &used.name,
                    &used.version,
                    sha256,
                    used.licence.as_deref(),
                ));
            }
        }
        for program in &unit.programs {
            let licence = unit
                .crates
                .iter()
                .find(|used| used.name == program.name)
                .and_then(|used| used.licence.as_deref());
            let version = match unit.built_by {
                Some(BuiltBy::HostToolchain) => format!("{version}+host-toolchain"),
                _ => version.clone(),
            };
            let part = Part::blob(&program.name, &version, program.sha256, licence);
            parts.insert(match &unit.origin {
                Some(Origin { place, key }) => Part {
                    download: Some(format!("{place}/{PROGRAMS}/{}", program.sha256)),
                    comment: Some(format!(
                        "Not compiled with this image: taken from the unit cache {place}, signed by the key {key}"
                    )),
                    ..part
                },
                None => part,
            });
        }
    }
    let name = format!("{}-{}", order.spec.host.name, order.target.name);
    let sbom = Sbom {
        name,
        version,
        created: order.lock.snapshot,
        builder: env!("CARGO_PKG_VERSION").to_owned(),
        parts: parts.into_iter().collect(),
    };
    Ok(sbom.to_spdx()?)
}

/// The document of a NixOS system's image: one part per store path, by the digest of its archive, and the packages that boot
/// programs come from. Nix keeps no licences of store paths.
pub(super) fn write_closure(
    order: &ClosureOrder<'_>,
    materials: &Materials,
) -> Result<String, AssemblyError> {
    let packages = materials.boot.iter().map(|layer| &layer.package);
    let mut parts: BTreeSet<Part> = Part::all_debian(packages, RELEASE).into_iter().collect();
    for object in order.closure.objects().values() {
        parts.insert(Part::blob(&object.path.to_absolute_path(), "", object.nar_sha256, None));
    }
    let sbom = Sbom {
        name: format!("{}-{}", order.closure.top().name(), order.target.name),
        version: order.closure.top().to_basename(),
        created: order.lock.snapshot,
        builder: env!("CARGO_PKG_VERSION").to_owned(),
        parts: parts.into_iter().collect(),
    };
    Ok(sbom.to_spdx()?)
}
