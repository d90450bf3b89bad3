//! Why a command ended without a result.
//!
//! In: errors of the library, of the file system, of the input. Out: one message with its causes
//! and a hint that says what to do next, and the exit code.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mailkiln_spec::{Flaw, SpecErrors};

/// Too many open files: errno(3).
const EMFILE: i32 = 24;
const MORE_FILES: &str = "allow more open files with `ulimit -n 1024`, and run the command again";

/// Why a command ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A `mail.toml` breaks the rules. Exit code 2.
    #[error("{} is wrong", .0.path.display())]
    Spec(Box<WrongSpec>),
    /// Something else that was given is wrong. Exit code 2.
    #[error("{message}")]
    Input {
        /// What is wrong, naming it: one line, no final stop.
        message: String,
        /// What led to it, outermost first.
        causes: Vec<String>,
        /// What to do next.
        hint: Option<String>,
    },
    /// The file system refused. Exit code 1.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried: "read", "write".
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The work did not succeed. Exit code 1.
    #[error("{message}")]
    Work {
        /// What did not succeed, naming it: one line, no final stop.
        message: String,
        /// What led to it, outermost first.
        causes: Vec<String>,
        /// What to do next.
        hint: Option<String>,
    },
}

/// A `mail.toml` and what is wrong with it.
#[derive(Debug)]
pub struct WrongSpec {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its text, which the spans of the errors refer to.
    pub text: String,
    /// At least one.
    pub errors: SpecErrors,
}

impl Failure {
    /// Bad input, in the words of an error of the library and of what led to it.
    pub fn input(error: &dyn Error) -> Self {
        Self::Input { message: error.to_string(), causes: causes(error), hint: None }
    }

    /// Work that did not succeed, in the words of an error of the library and of what led to it.
    pub fn work(error: &dyn Error) -> Self {
        Self::Work { message: error.to_string(), causes: causes(error), hint: None }
    }

    /// A wrong value on the command line.
    pub fn flaw(flaw: Flaw) -> Self {
        let Flaw { message, label, help } = flaw;
        Self::Input { message, causes: vec![label], hint: Some(help) }
    }

    /// What a `map_err` makes of an I/O error.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// The same failure with a hint, where the kind of failure has room for one.
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Input { hint, .. } | Self::Work { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What led to it, outermost first.
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Input { causes, .. } | Self::Work { causes, .. } => causes.clone(),
            Self::File { source, .. } => vec![source.to_string()],
            Self::Spec(_) => Vec::new(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        let own = match self {
            Self::Input { hint, .. } | Self::Work { hint, .. } => hint.as_deref(),
            Self::Spec(_) | Self::File { .. } => None,
        };
        own.or_else(|| self.is_out_of_files().then_some(MORE_FILES))
    }

    /// Whether the shell's limit of open files was reached: EMFILE may come from any of them.
    fn is_out_of_files(&self) -> bool {
        let said = io::Error::from_raw_os_error(EMFILE).to_string();
        let words = said.split(" (os error").next().unwrap_or(&said);
        self.to_string().contains(words) || self.causes().iter().any(|it| it.contains(words))
    }

    /// 2 for bad input, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Spec(_) | Self::Input { .. } => ExitCode::from(2),
            Self::File { .. } | Self::Work { .. } => ExitCode::FAILURE,
        }
    }
}

/// The sources of an error, outermost first, without those that only repeat what is said already.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !said.contains(&words) {
            causes.push(words.clone());
        }
        said = words;
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_said_with_a_cure() {
        let path = Path::new("/cache/lock");
        let failure = |errno| Failure::file("open", path)(io::Error::from_raw_os_error(errno));
        assert_eq!(failure(EMFILE).hint(), Some(MORE_FILES));
        let deeper = Failure::work(&CacheLike(io::Error::from_raw_os_error(EMFILE)));
        assert_eq!(deeper.hint(), Some(MORE_FILES));
        assert_eq!(failure(2).hint(), None);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("can't unpack the package")]
    struct CacheLike(#[source] io::Error);
}
