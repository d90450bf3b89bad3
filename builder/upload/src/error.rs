//! What can go wrong with an upload, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An upload that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A setting is missing or wrong.
    #[error("{message}")]
    Setting {
        /// What is wrong, naming the setting.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// No credentials were found.
    #[error("no credentials for {destination}: looked at {}", tried.join(", "))]
    NoCredentials {
        /// The destination's name.
        destination: &'static str,
        /// Where they were looked for.
        tried: Vec<String>,
        /// How to provide them.
        hint: String,
    },
    /// Credentials are there, and no use.
    #[error("{from} can't be used: {reason}")]
    BadCredentials {
        /// The file, variable or program; never what it holds.
        from: String,
        /// What is wrong.
        reason: String,
        /// What to do next.
        hint: String,
    },
    /// The server answered, and will not do it.
    #[error("{what} was refused: {message} (HTTP {status}{})", code_of(code))]
    Refused {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The server's word for it; may be empty.
        code: String,
        /// The server's words.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The credentials were valid once.
    #[error("{what} was refused: the credentials have expired")]
    Expired {
        /// What was asked for.
        what: String,
    },
    /// No answer, or none that helps, after every retry.
    #[error("{what} did not succeed after {tries} tries: {reason}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// How often it was tried.
        tries: u32,
        /// What the last try met.
        reason: String,
    },
    /// The server accepted the image, and then could not use it.
    #[error("{what} failed: {message}")]
    Failed {
        /// The job of the server.
        what: String,
        /// The server's words.
        message: String,
    },
    /// A job of the server did not end in time.
    #[error("{what} has not ended after {minutes} minutes")]
    Slow {
        /// The job of the server.
        what: String,
        /// How long it was waited for.
        minutes: u64,
    },
    /// What arrived is not what was sent.
    #[error("{what} arrived altered: sent {sent}, the server has {found}")]
    Corrupt {
        /// Which piece.
        what: String,
        /// Checksum of what was sent.
        sent: String,
        /// Checksum that the server computed.
        found: String,
    },
    /// The answer has not the form that is documented.
    #[error("{what}: the answer makes no sense: {reason}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// The image file is not what its digest says.
    #[error("{} is not what its digest says: expected SHA-256 {wanted}, found {found}", path.display())]
    Changed {
        /// The image.
        path: PathBuf,
        /// The digest that the upload began with.
        wanted: String,
        /// The digest of what was read.
        found: String,
    },
    /// Another process uploads the same image to the same place.
    #[error("another mailkiln is uploading {} to the same place", path.display())]
    Busy {
        /// The image.
        path: PathBuf,
    },
    /// A program that the upload needs.
    #[error("`{program}` failed: {reason}")]
    Program {
        /// Its name.
        program: String,
        /// What it said last, or why it did not start.
        reason: String,
        /// Whether a second try may help.
        passes: bool,
    },
    /// The file system refused.
    #[error("can't {action} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "write".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn code_of(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(", {code}") }
}

impl UploadError {
    /// What a `map_err` makes of an I/O error.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// An answer without something that it must have.
    pub fn answer(what: &str, reason: impl Into<String>) -> Self {
        Self::Answer { what: what.to_owned(), reason: reason.into() }
    }

    /// Whether what was sent so far is kept, so that the same command goes on from there.
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Expired { .. }
            | Self::Slow { .. }
            | Self::File { .. }
            | Self::NoCredentials { .. }
            | Self::BadCredentials { .. }
            | Self::Busy { .. } => true,
            // Rights can be given; room is not there the next moment.
            Self::Refused { status: 401 | 403, hint, .. } => hint.is_none(),
            Self::Program { passes, .. } => *passes,
            _ => false,
        }
    }

    /// Whether the input is at fault, not the work.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. } | Self::NoCredentials { .. } | Self::BadCredentials { .. }
        )
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Setting { hint, .. }
            | Self::NoCredentials { hint, .. }
            | Self::BadCredentials { hint, .. } => hint.clone(),
            Self::Refused { hint: Some(hint), .. } => hint.clone(),
            Self::Refused { status: 401 | 403, .. } => {
                "check the credentials and what they permit, then run the same command again".into()
            }
            Self::Expired { .. } => {
                "renew the credentials and run the same command again; it goes on from there".into()
            }
            Self::Unreachable { .. } | Self::Slow { .. } => {
                "run the same command again; it goes on from there. `--abandon` removes what was sent".into()
            }
            Self::Changed { .. } => {
                "build or copy the image again; remove its .sha256 if you altered it yourself".into()
            }
            Self::Corrupt { .. } => "run the same command again".into(),
            Self::Busy { .. } => "wait for it to end".into(),
            _ => return None,
        };
        Some(text)
    }
}

/// Foreign text for people: one line, printable, at most 300 characters.
pub fn presentable(text: &str) -> String {
    let words = text.split(|char: char| char.is_control() || char.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_short_line() {
        assert_eq!(presentable("a\r\nb\x1b[31m\tc "), "a b [31m c");
        assert_eq!(presentable(&"é".repeat(400)).chars().count(), 301);
        assert_eq!(presentable("\n"), "");
    }
}
