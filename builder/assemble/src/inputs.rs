//! What decides an artifact's bytes. The same inputs give the same bytes on every machine.

use mailkiln_closure::Closure;
use mailkiln_lock::Lock;
use mailkiln_pin::Arch;
use mailkiln_spec::Spec;
use mailkiln_spec::target::Target;

use crate::{AssembleError, Wanted};

/// What decides the bytes of an appliance's image.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The appliance, from `mail.toml`.
    pub spec: &'a Spec,
    /// The text of that file, which the image carries for fragments in user-data.
    pub mail_toml: &'a str,
    /// The board or cloud it runs on.
    pub target: &'a Target,
    /// The packages and units that may enter it.
    pub lock: &'a Lock,
}

/// What decides the bytes of compiled units.
#[derive(Debug, Clone, Copy)]
pub struct UnitInputs<'a> {
    /// The processor they run on.
    pub arch: Arch,
    /// Their sources and toolchain.
    pub lock: &'a Lock,
}

/// What decides the bytes of an image of a NixOS system.
#[derive(Debug, Clone, Copy)]
pub struct ClosureInputs<'a> {
    /// The system and every store path it refers to.
    pub closure: &'a Closure,
    /// The board or cloud it runs on.
    pub target: &'a Target,
    /// The packages that the target's boot programs come from.
    pub lock: &'a Lock,
}

impl<'a> Inputs<'a> {
    /// What the services want from the image.
    pub(crate) fn wanted(&self) -> Result<Wanted, AssembleError> {
        Wanted::of(self.spec, self.mail_toml, self.target)
    }

    pub(crate) fn units(&self) -> UnitInputs<'a> {
        UnitInputs { arch: self.target.arch, lock: self.lock }
    }

    /// The name of the image, and of its files without the suffix of a format.
    pub fn name(&self) -> String {
        // An image that is nobody's has no host's name either.
        let host = if self.spec.is_waiting { "mailkiln" } else { self.spec.host.name.as_str() };
        format!("{host}-{}", self.target.name)
    }

    /// The image's version: the builder's, and the day of the lock.
    pub(crate) fn version(&self) -> String {
        let day: String = self.lock.snapshot.to_string().chars().take(10).collect();
        format!("{}-{}", env!("CARGO_PKG_VERSION"), day.replace('-', ""))
    }
}
