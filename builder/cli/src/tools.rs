//! What a command compiles units with.
//!
//! In: the choice of a toolchain, the lock, the environment. Out: [`Tools`] for an assembly.

use std::env;

use mailkiln_assemble::{AssembleError, Supply, Tools, UnitCaches};
use mailkiln_compile::{HostToolchain, LockedToolchain, Reentry, Toolchain};
use mailkiln_lock::Lock;
use mailkiln_pin::Arch;

use crate::arguments::ToolchainChoice;
use crate::failure::Failure;

/// The tools of an assembly; units are compiled in a sandbox that this program starts.
///
/// # Errors
/// [`Failure`] when the system does not say where this program is.
pub(crate) fn tools<'a>(
    supply: Supply<'a>,
    toolchain: &'a Toolchain,
    units: &'a UnitCaches,
) -> Result<Tools<'a>, Failure> {
    let sandbox = Reentry::this_program().map_err(|error| Failure::Work {
        message: "can't find the running program".to_owned(),
        causes: vec![error.to_string()],
        hint: None,
    })?;
    let layers = env::var_os("MAILKILN_LAYERS").is_none_or(|value| value != "0");
    Ok(Tools { supply, toolchain, sandbox, layers, units })
}

/// The toolchain that compiles for `target`; the locked one has the cross compiler too, where it is needed.
///
/// # Errors
/// [`Failure`] when the lock has no toolchain for this machine, or the machine has none.
pub(crate) fn toolchain(
    choice: ToolchainChoice,
    lock: &Lock,
    target: Arch,
) -> Result<Toolchain, Failure> {
    match choice {
        ToolchainChoice::Locked => {
            let host = host()?;
            let set = |name| lock.packages(name, host).map_err(|error| Failure::work(&error));
            let mut pins = set("toolchain")?.to_vec();
            if host != target {
                pins.extend_from_slice(set("cross")?);
            }
            Ok(Toolchain::Locked(LockedToolchain::new(&pins)))
        }
        ToolchainChoice::Host => {
            let found = HostToolchain::find().map_err(|error| Failure::work(&error))?;
            Ok(Toolchain::Host(found))
        }
    }
}

/// The architecture that this program runs on, and so compiles on.
fn host() -> Result<Arch, Failure> {
    Arch::ALL.into_iter().find(|arch| arch.gnu() == std::env::consts::ARCH).ok_or_else(|| {
        Failure::Work {
            message: format!("there is no locked toolchain for {}", std::env::consts::ARCH),
            causes: Vec::new(),
            hint: Some("use --toolchain host".to_owned()),
        }
    })
}

/// Exit code 1 with the error's words; a package that mirrors have lost is named by its code too.
pub(crate) fn assembly_failure(error: &AssembleError) -> Failure {
    match error {
        AssembleError::Fetch(fetch) => Failure::Work {
            message: format!("{fetch} [{}]", fetch.code()),
            causes: Vec::new(),
            hint: None,
        },
        other => Failure::work(other),
    }
}
