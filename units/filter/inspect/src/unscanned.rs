//! Inspection without malware rules, for fuzz targets: everything is opened, nothing is scanned.

use std::time::Instant;

use crate::report::Class;

/// No rules at all.
#[derive(Debug)]
pub struct Rules;

/// Rules can't be used without the feature `yara`.
#[derive(Debug, thiserror::Error)]
#[error("this build has no rule engine, so {0} can't be used; build with the feature `yara`")]
pub struct RulesError(String);

impl Rules {
    /// No rules.
    ///
    /// # Errors
    /// None.
    pub fn builtin() -> Result<Rules, RulesError> {
        Ok(Rules)
    }

    /// No rules, if none are asked for.
    ///
    /// # Errors
    /// Names the first file, since it can't be used.
    pub fn compile(files: &[(&str, &str)]) -> Result<Rules, RulesError> {
        match files.first() {
            Some((name, _)) => Err(RulesError((*name).to_owned())),
            None => Ok(Rules),
        }
    }

    /// None.
    #[must_use]
    pub fn count(&self) -> usize {
        0
    }
}

#[derive(Debug)]
pub(crate) struct Match {
    pub(crate) class: Class,
    pub(crate) reason: String,
}

#[derive(Debug)]
pub(crate) struct Scan;

impl Scan {
    pub(crate) fn new(_: &Rules) -> Self {
        Scan
    }

    pub(crate) fn matches(&mut self, _: &[u8], _: Instant) -> Result<Vec<Match>, String> {
        Ok(Vec::new())
    }
}
