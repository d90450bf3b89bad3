//! A `mail.toml` on disk.
//!
//! In: a path. Out: the checked specification and the text that it came from.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mailkiln_spec::Spec;

use crate::failure::{Failure, WrongSpec};

/// Most that is read, in bytes. The parser refuses less; this guards against `-c /dev/zero`.
const MOST_BYTES: u64 = 8 << 20;

/// A `mail.toml` that was read and has passed every rule.
#[derive(Debug)]
pub struct SpecFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub spec: Spec,
}

impl SpecFile {
    /// Reads and checks the file.
    ///
    /// # Errors
    ///
    /// [`Failure::Spec`] with everything that is wrong with it; [`Failure::Input`] when it does not
    /// exist or is not UTF-8; [`Failure::File`] when it can't be read.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(
            path,
            "`mailkiln new example.org` writes a mail.toml; name another file as an argument, or with `-c FILE`",
        )?;
        match mailkiln_spec::parse(&text) {
            Ok(spec) => Ok(Self { path: path.to_owned(), text, spec }),
            Err(errors) => {
                Err(Failure::Spec(Box::new(WrongSpec { path: path.to_owned(), text, errors })))
            }
        }
    }
}

impl SpecFile {
    /// Reads the file of a machine that has a name: for what an image that waits for its fragment has not.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and [`Failure::Input`] for an image without a domain.
    pub fn read_named(path: &Path) -> Result<Self, Failure> {
        let file = Self::read(path)?;
        if file.spec.is_waiting {
            return Err(Failure::Input {
                message: format!("{} has no domain of its own", path.display()),
                causes: vec!["[first_boot] says `fragment = \"required\"`: each machine is told at first boot what it is".to_owned()],
                hint: Some("write a mail.toml of that one machine, with its [host] and [[domain]], for this command".to_owned()),
            });
        }
        Ok(file)
    }
}

/// The text of a small file that an administrator wrote. `missing` says what to do where there is none.
///
/// # Errors
///
/// As [`SpecFile::read`].
pub(crate) fn read_text(path: &Path, missing: &str) -> Result<String, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Input {
            message: format!("there is no {shown}"),
            causes: Vec::new(),
            hint: Some(missing.to_owned()),
        },
        _ => Failure::file("open", path)(error),
    })?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Failure::file("read", path))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::Input {
            message: format!("{shown} has more than {MOST_BYTES} bytes"),
            causes: Vec::new(),
            hint: Some("is this the right file?".to_owned()),
        });
    }
    String::from_utf8(bytes).map_err(|error| Failure::Input {
        message: format!("{shown} is not UTF-8"),
        causes: vec![format!(
            "byte {} is not part of a character",
            error.utf8_error().valid_up_to()
        )],
        hint: Some(format!("convert it: iconv -f latin1 -t utf-8 {shown}")),
    })
}
