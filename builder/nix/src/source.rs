//! A `.nix` file: formatted as nixpkgs wants it, and parsed before anybody gets it.

use crate::Value;

/// First line of what is generated.
const HEADING: &str = "# Made by `mailkiln emit";

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path below the folder it is written into.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What was generated is not Nix: a defect of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} would not be valid Nix: {what}; this is a defect")]
pub struct BadNix {
    /// The file.
    pub path: String,
    /// What the parser says.
    pub what: String,
}

impl Source {
    /// A file that holds `expression`, with a comment on where it comes from.
    pub(crate) fn new(path: &str, origin: &str, expression: &Value) -> Result<Self, BadNix> {
        Self::written(path, &format!("{HEADING} {origin}\n{expression}\n"))
    }

    /// A file with this text, formatted.
    pub(crate) fn written(path: &str, text: &str) -> Result<Self, BadNix> {
        let wrong = |what: String| BadNix { path: path.to_owned(), what };
        let text = nixfmt_rs::format(text)
            .map_err(|error| wrong(nixfmt_rs::format_error(text, Some(path), &error)))?;
        let parsed = rnix::Root::parse(&text);
        match parsed.errors().first() {
            None => Ok(Self { path: path.to_owned(), text }),
            Some(error) => Err(wrong(error.to_string())),
        }
    }
}
