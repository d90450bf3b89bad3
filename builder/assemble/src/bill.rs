//! The bill of materials of an image.
//!
//! In: packages, units and store paths, each at the moment when it is added to the image. Out: an SPDX 2.3 document.

use mailkiln_closure::Object;
use mailkiln_compile::{BuiltBy, Origin, Program};
use mailkiln_lock::Lock;
use mailkiln_sources::sbom::{Part, Sbom};
use mailkiln_sources::{Layer, Package};
use mailkiln_unit_cache::PROGRAMS;

use crate::AssembleError;
use crate::compile::Unit;

/// Debian's release number, for package URLs.
const RELEASE: &str = "13";

/// Everything that was added to an image.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    /// Apart from `parts`: a package may take its licence from another of the same source.
    packages: Vec<Package>,
    parts: Vec<Part>,
}

impl Bill {
    /// Adds packages, one part each.
    pub(crate) fn add_packages(&mut self, layers: &[Layer]) {
        self.packages.extend(layers.iter().map(|layer| layer.package.clone()));
    }

    /// Adds a unit of this version: one part for each crate in it, each package of npm and each program of it.
    pub(crate) fn add_unit(&mut self, unit: &Unit, version: &str) {
        for used in &unit.crates {
            if let Some(sha256) = used.sha256 {
                let licence = used.licence.as_deref();
                self.parts.push(Part::krate(&used.name, &used.version, sha256, licence));
            }
        }
        self.parts.extend(bundled(unit));
        self.parts.extend(unit.programs.iter().map(|program| part(unit, program, version)));
    }

    /// Adds a store path by the digest of its archive. Nix keeps no licences of store paths.
    pub(crate) fn add_store_path(&mut self, object: &Object) {
        self.parts.push(Part::blob(&object.path.to_absolute_path(), "", object.nar_sha256, None));
    }

    /// The document of the image of this name and version.
    pub(crate) fn to_spdx(
        &self,
        name: String,
        version: String,
        lock: &Lock,
    ) -> Result<String, AssembleError> {
        let mut parts = Part::all_debian(self.packages.iter(), RELEASE);
        parts.extend(self.parts.iter().cloned());
        // Two layers can come from one package, and two units have crates in common.
        parts.sort();
        parts.dedup();
        let builder = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Sbom { name, version, created: lock.snapshot, builder, parts }.to_spdx()?)
    }
}

/// What `unit.toml` says is in the program besides crates. Nobody knows what is in a prebuilt file.
fn bundled(unit: &Unit) -> impl Iterator<Item = Part> {
    let known = mailkiln_unit::unit(&unit.name).filter(|_| !unit.crates.is_empty());
    known.into_iter().flat_map(|known| &known.bundled).filter_map(|one| {
        // The rules of units have looked at the digest.
        let sha256 = one.sha256.parse().ok()?;
        Some(Part::npm(&one.name, &one.version, sha256, Some(&one.licence)))
    })
}

fn part(unit: &Unit, program: &Program, version: &str) -> Part {
    let licence = unit
        .crates
        .iter()
        .find(|used| used.name == program.name)
        .and_then(|used| used.licence.as_deref());
    let version = match unit.built_by {
        Some(BuiltBy::HostToolchain) => format!("{version}+host-toolchain"),
        _ => version.to_owned(),
    };
    let part = Part::blob(&program.name, &version, program.sha256, licence);
    match &unit.origin {
        Some(Origin { place, key }) => Part {
            download: Some(format!("{place}/{PROGRAMS}/{}", program.sha256)),
            comment: Some(format!(
                "Not compiled with this image: taken from the unit cache {place}, signed by the key {key}"
            )),
            ..part
        },
        None => part,
    }
}

#[cfg(test)]
mod tests {
    use mailkiln_compile::UsedCrate;
    use mailkiln_pin::Sha256;

    use super::*;

    fn web(crates: Vec<UsedCrate>) -> Unit {
        Unit { name: "web".into(), programs: Vec::new(), crates, built_by: None, origin: None }
    }

    #[test]
    fn scripts_of_others_in_a_program_are_listed_with_their_licences() {
        let own = UsedCrate {
            name: "serde".into(),
            version: "1.0.0".into(),
            sha256: Some(Sha256::of(b"serde")),
            licence: Some("MIT".into()),
        };
        let mut bill = Bill::default();
        bill.add_unit(&web(vec![own]), "1.0.0");
        let found: Vec<_> =
            bill.parts.iter().map(|part| (part.purl.as_deref(), part.licence.as_deref())).collect();
        assert_eq!(
            found,
            [
                (Some("pkg:cargo/serde@1.0.0"), Some("MIT")),
                (Some("pkg:npm/squire-rte@2.4.8"), Some("MIT")),
                (Some("pkg:npm/dompurify@3.5.0"), Some("MPL-2.0 OR Apache-2.0")),
            ]
        );
        // What is in a prebuilt file is not known.
        let mut prebuilt = Bill::default();
        prebuilt.add_unit(&web(Vec::new()), "1.0.0");
        assert_eq!(prebuilt.parts, []);
    }
}
