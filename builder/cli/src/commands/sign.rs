//! `mailkiln sign`: puts `FILE.minisig` beside images and block maps.
//!
//! In: a secret key without a password, files. Out: signatures that `minisign -V`, and `mailkiln flash
//! --key`, take. The file's name is signed too, so that one image cannot be passed off as another.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mailkiln_publish::write_beside;
use mailkiln_signature::{LONGEST, PublicKey, SecretKey, SignatureError};
use serde::Serialize;

use crate::arguments::SignArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::read_text;

/// Signs every file.
pub(super) fn run(arguments: &SignArguments, printer: &Printer) -> Result<(), Failure> {
    let text = read_text(&arguments.key, "`mailkiln keygen --minisign NAME` makes one")?;
    let key = SecretKey::parse(&text).map_err(|error| refused(&arguments.key, &error))?;
    let mut signatures = Vec::new();
    for path in &arguments.files {
        let file = File::open(path).map_err(Failure::file("read", path))?;
        let signature = key.sign(file, &comment(path)).map_err(|error| refused(path, &error))?;
        let written = write_beside(path, "minisig", signature.as_bytes());
        signatures.push(written.map_err(|error| Failure::work(&error))?);
    }
    printer.result(&Signed { key: key.public().line(), signatures })
}

/// The trusted comment of a file.
fn comment(path: &Path) -> String {
    format!("file:{}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Checks that `path` is signed by `key`, a public key's file or its line. Returns the key.
///
/// # Errors
/// [`Failure`] when there is no signature, or a wrong one, or one of a file with another name.
pub(super) fn check(path: &Path, key: &str) -> Result<String, Failure> {
    let key = public(key)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".minisig");
    let at = path.with_file_name(name);
    if std::fs::metadata(&at).is_ok_and(|file| file.len() > LONGEST) {
        return Err(refused(&at, &SignatureError::Format("signature")));
    }
    let signature = std::fs::read_to_string(&at).map_err(|error| {
        Failure::file("read the signature", &at)(error)
            .with_hint("publishers put IMAGE.minisig beside the image")
    })?;
    let file = File::open(path).map_err(Failure::file("read", path))?;
    let signed = key.verify(BufReader::with_capacity(1 << 20, file), &signature);
    let signed = signed.map_err(|error| refused(path, &error))?;
    if signed.starts_with("file:") && signed != comment(path) {
        return Err(Failure::Input {
            message: format!("{} was signed under another name", path.display()),
            causes: vec![format!("the signature says `{signed}`")],
            hint: Some(
                "give the file the name that it was signed under, if it is that one".to_owned(),
            ),
        });
    }
    Ok(key.line())
}

/// A key from the command line: the path of its file, or its line.
fn public(key: &str) -> Result<PublicKey, Failure> {
    let path = Path::new(key);
    let text = if path.is_file() {
        read_text(path, "give the path of a .pub file")?
    } else {
        key.to_owned()
    };
    PublicKey::parse(&text).map_err(|error| {
        Failure::input(&error).with_hint("give a .pub file, or its line of base64, as after `RW`")
    })
}

fn refused(path: &Path, error: &SignatureError) -> Failure {
    let message = format!("{}: {error}", path.display());
    match error {
        SignatureError::Read(_) => Failure::Work { message, causes: Vec::new(), hint: None },
        _ => Failure::Input { message, causes: Vec::new(), hint: None },
    }
}

/// What was signed.
#[derive(Serialize)]
struct Signed {
    key: String,
    signatures: Vec<PathBuf>,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for signature in &self.signatures {
            writeln!(f, "wrote {}", signature.display())?;
        }
        write!(f, "check with: mailkiln flash --key {} IMAGE DEVICE", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_file_under_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let key = SecretKey::from_random([5; 32], [6; 8]);
        let public = key.public().line();
        std::fs::write(at("a.img"), "image").unwrap();
        assert!(check(&at("a.img"), &public).unwrap_err().to_string().contains("a.img.minisig"));
        let signature = key.sign(&b"image"[..], "file:a.img").unwrap();
        std::fs::write(at("a.img.minisig"), &signature).unwrap();
        assert_eq!(check(&at("a.img"), &public).unwrap(), public);
        std::fs::write(at("key.pub"), key.public().text()).unwrap();
        check(&at("a.img"), &at("key.pub").display().to_string()).unwrap();
        // An older image, passed off as the newer one.
        std::fs::write(at("b.img"), "image").unwrap();
        std::fs::write(at("b.img.minisig"), &signature).unwrap();
        assert!(check(&at("b.img"), &public).unwrap_err().to_string().contains("another name"));
        std::fs::write(at("a.img"), "Image").unwrap();
        assert!(
            check(&at("a.img"), &public).unwrap_err().to_string().contains("not what was signed")
        );
        assert!(check(&at("a.img"), "nonsense").is_err());
    }
}
