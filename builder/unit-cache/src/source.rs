//! Units taken from a cache.
//!
//! In: a compiler, which knows what it would compile, and an address. Out: the unit, in the local
//! cache; or why it was refused.

use mailkiln_compile::{CompileError, CompiledUnit, Compiler, Component, Origin, Program};
use mailkiln_fetch::{Base, FetchError, Fetcher, Progress, Wanted};
use mailkiln_nix_store::TrustedPublicKey;
use mailkiln_pin::Sha256;

use crate::record::{MOST_BYTES, Record, RecordError, Signed};

/// The folder of programs in a cache.
pub const PROGRAMS: &str = "programs";

/// The name of the record of the unit with this key.
pub fn record_name(key: &Sha256) -> String {
    format!("{key}.unit")
}

/// A unit cache, and who may sign what is in it.
#[derive(Debug)]
pub struct UnitCache<'a> {
    /// Its address.
    pub base: &'a Base,
    /// Keys that may sign.
    pub keys: &'a [TrustedPublicKey],
    /// What fetches.
    pub fetcher: &'a Fetcher<'a>,
}

/// A unit is not taken from a cache.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none for these inputs.
    #[error("it has no unit of these sources, this toolchain and this target")]
    Missing,
    /// The record is damaged, or something else.
    #[error("its record {name}: {source}")]
    Record {
        /// File in the cache.
        name: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// No trusted key has signed it.
    #[error(
        "its record is signed by {signers}, and no trusted key has made that signature; add the \
         key with --trusted-public-key if you trust whoever holds it"
    )]
    Signature {
        /// Names of keys, as the record has them.
        signers: String,
    },
    /// The record is for something else than its name says.
    #[error("its record is for another {what}: {found}, not {wanted}")]
    Other {
        /// `component`, `target`, `toolchain`, `key`.
        what: &'static str,
        /// What the record has.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The programs are not those of the component.
    #[error("it has the programs {found}, not {wanted}")]
    Programs {
        /// What the record has.
        found: String,
        /// What the component must have.
        wanted: String,
    },
    /// A file is not there, or its server does not answer.
    #[error("a file can't be fetched: {0}")]
    Unreachable(String),
    /// A file could not be fetched, or is not what the record says.
    #[error(transparent)]
    Fetch(FetchError),
    /// The local cache refused.
    #[error(transparent)]
    Adopt(#[from] CompileError),
}

/// Without the advice for mirrors of packages.
impl From<FetchError> for Refusal {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Lost { tried, .. } | FetchError::Unreachable { tried, .. } => {
                Self::Unreachable(tried.join("; "))
            }
            other => Self::Fetch(other),
        }
    }
}

impl UnitCache<'_> {
    /// Takes the unit of `component` into the local cache.
    ///
    /// # Errors
    /// [`Refusal`] says why it has to be compiled.
    pub fn take(
        &self,
        compiler: &Compiler<'_>,
        component: &Component,
        watch: &dyn Progress,
    ) -> Result<CompiledUnit, Refusal> {
        let (record, key) = self.record(compiler, component)?;
        let programs = self.programs(&record, watch)?;
        let origin = Origin { place: self.base.to_string(), key };
        Ok(compiler.adopt(component, &programs, record.crates, origin)?)
    }

    /// The record of `component`'s unit, and the name of the trusted key that has signed it.
    ///
    /// # Errors
    /// [`Refusal`] when there is none that may be used.
    pub fn record(
        &self,
        compiler: &Compiler<'_>,
        component: &Component,
    ) -> Result<(Record, String), Refusal> {
        let key = compiler.key(component);
        let name = record_name(&key);
        let bytes = self.fetcher.small(&self.base.join(&name), MOST_BYTES)?;
        let bytes = bytes.ok_or(Refusal::Missing)?;
        let signed = Signed::parse(&bytes).map_err(|source| Refusal::Record { name, source })?;
        let Some(signer) = signed.signed_by(self.keys) else {
            return Err(Refusal::Signature { signers: signed.signers() });
        };
        let record = signed.record;
        let facts = [
            ("component", record.component.clone(), component.name.clone()),
            ("target", record.target.to_string(), compiler.target.to_string()),
            ("toolchain", record.toolchain.to_string(), compiler.toolchain.digest().to_string()),
            ("key", record.key.to_string(), key.to_string()),
        ];
        for (what, found, wanted) in facts {
            if found != wanted {
                return Err(Refusal::Other { what, found, wanted });
            }
        }
        let names: Vec<&str> = record.programs.iter().map(|(name, ..)| name.as_str()).collect();
        if names != component.binaries {
            let (found, wanted) = (names.join(", "), component.binaries.join(", "));
            return Err(Refusal::Programs { found, wanted });
        }
        Ok((record, signer.name.clone()))
    }

    /// Fetches what a record names.
    ///
    /// # Errors
    /// [`FetchError`] when a program is not there, or has other bytes.
    pub fn programs(
        &self,
        record: &Record,
        watch: &dyn Progress,
    ) -> Result<Vec<Program>, FetchError> {
        let wanted = |(name, size, sha256): &(String, u64, Sha256)| Wanted {
            name: name.clone(),
            sha256: *sha256,
            size: *size,
            addresses: vec![self.base.join(&format!("{PROGRAMS}/{sha256}"))],
        };
        let wanted: Vec<Wanted> = record.programs.iter().map(wanted).collect();
        let paths = self.fetcher.files(&wanted, watch)?;
        let program = |(path, wanted): (_, Wanted)| Program {
            name: wanted.name,
            path,
            size: wanted.size,
            sha256: wanted.sha256,
        };
        Ok(paths.into_iter().zip(wanted).map(program).collect())
    }
}
