//! `/var/lib/acme/NAME`: the five files of a certificate, in the layout of NixOS, replaced in one step.
//!
//! In: a chain and its key, PEM. Out: the folder, on the medium. Readers see all five of the old
//! certificate or all five of the new one; so does the next boot after a power cut.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::durable::{self, DurableError};

/// The group may replace what is in it: the agent makes the first certificate, the ACME client the
/// next one, and they are two users. Those who only read have no write access in their sandbox.
const FOLDER_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o640;

/// A certificate with its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate and what is between it and the root.
    pub chain: String,
    /// PKCS#8 private key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// Where the certificate of a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFolder {
    /// `/var/lib/acme/NAME`.
    pub directory: PathBuf,
    /// Certificate and intermediates, PEM.
    pub chain: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl CertificateFolder {
    /// The folder of `name` in `shared`, which is `/var/lib/acme`.
    pub fn new(shared: &Path, name: &str) -> Self {
        let directory = shared.join(name);
        Self { chain: directory.join("fullchain.pem"), key: directory.join("key.pem"), directory }
    }

    /// `/var/lib/acme`, whose group may read certificates.
    pub fn shared_directory(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.directory)
    }

    /// Whether all five files are there. Earlier appliances wrote two.
    pub fn is_whole(&self) -> bool {
        ["fullchain", "key", "chain", "cert", "full"]
            .iter()
            .all(|name| self.directory.join(format!("{name}.pem")).is_file())
    }

    /// Replaces the certificate. `group` is that of the shared directory, where files do not get
    /// it by themselves.
    ///
    /// # Errors
    /// [`DurableError`] with the step; the old certificate is then in place, and whole.
    pub fn install(&self, pair: &Pair, group: Option<u32>) -> Result<(), DurableError> {
        let fresh = self.fresh();
        remove(&fresh)?;
        durable::make_directory(&fresh, FOLDER_MODE, group)?;
        for (name, text) in files(pair) {
            let path = fresh.join(format!("{name}.pem"));
            durable::write(&path, text.as_bytes(), FILE_MODE, group)?;
        }
        let link = fresh.join("cert.pem");
        symlink("fullchain.pem", &link).map_err(durable::failed("link", &link))?;
        flush(&fresh)?;
        self.swap(&fresh)?;
        flush(self.shared_directory())?;
        // What was in use until now. A leftover costs nothing: the next call removes it.
        remove(&fresh)
    }

    fn swap(&self, fresh: &Path) -> Result<(), DurableError> {
        let flags = match fs::symlink_metadata(&self.directory) {
            Ok(_) => RenameFlags::EXCHANGE,
            Err(_) => RenameFlags::empty(),
        };
        renameat_with(CWD, fresh, CWD, &self.directory, flags)
            .map_err(|error| durable::failed("replace", &self.directory)(error.into()))
    }

    fn fresh(&self) -> PathBuf {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        self.directory.with_file_name(format!(".{name}.new"))
    }
}

/// `cert.pem` is missing here: in NixOS it is a link to `fullchain.pem`, and so it is with us.
fn files(pair: &Pair) -> [(&'static str, String); 4] {
    let issuers = pem::parse_many(&pair.chain).unwrap_or_default();
    let line_end = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    // A self-signed certificate is its own issuer.
    let above = if issuers.len() > 1 { issuers.get(1..) } else { issuers.get(..) };
    let issuers = pem::encode_many_config(above.unwrap_or_default(), line_end);
    [
        ("key", pair.key.clone()),
        ("fullchain", pair.chain.clone()),
        ("chain", issuers),
        ("full", format!("{}{}", pair.key, pair.chain)),
    ]
}

/// Removes a folder with all that is in it, which may be gone already.
fn remove(folder: &Path) -> Result<(), DurableError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(durable::failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn flush(folder: &Path) -> Result<(), DurableError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(durable::failed("flush", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const LEAF: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const ISSUER: &str = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n";

    fn pair(mark: &str) -> Pair {
        Pair { chain: format!("{LEAF}{ISSUER}"), key: format!("key {mark}\n") }
    }

    #[test]
    fn five_files_as_nixos_has_them() {
        let shared = tempfile::tempdir().unwrap();
        let folder = CertificateFolder::new(shared.path(), "mail.example.org");
        for mark in ["one", "two"] {
            folder.install(&pair(mark), None).unwrap();
            let read = |name: &str| fs::read_to_string(folder.directory.join(name)).unwrap();
            assert_eq!(read("fullchain.pem"), format!("{LEAF}{ISSUER}"));
            assert_eq!(read("cert.pem"), read("fullchain.pem"));
            assert_eq!(read("chain.pem"), ISSUER);
            assert_eq!(read("key.pem"), format!("key {mark}\n"));
            assert_eq!(read("full.pem"), format!("key {mark}\n{LEAF}{ISSUER}"));
            assert!(folder.is_whole());
            for name in ["fullchain.pem", "key.pem", "chain.pem", "full.pem"] {
                let mode = fs::metadata(folder.directory.join(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o640, "{name}");
            }
            assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 1, "nothing is left behind");
        }
    }

    #[test]
    fn leftovers_of_a_power_cut_do_not_matter() {
        let shared = tempfile::tempdir().unwrap();
        let folder = CertificateFolder::new(shared.path(), "a.org");
        fs::create_dir(shared.path().join(".a.org.new")).unwrap();
        fs::write(shared.path().join(".a.org.new/key.pem"), "half").unwrap();
        folder.install(&Pair { chain: LEAF.to_owned(), key: "k".to_owned() }, None).unwrap();
        assert_eq!(fs::read_to_string(folder.directory.join("chain.pem")).unwrap(), LEAF);
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 1);
    }

    #[test]
    fn readers_in_an_open_folder_never_see_a_mixture() {
        let shared = tempfile::tempdir().unwrap();
        let folder = CertificateFolder::new(shared.path(), "a.org");
        let numbered = |n: usize| Pair { chain: format!("chain {n}"), key: format!("key {n}") };
        folder.install(&numbered(0), None).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..200 {
                    folder.install(&numbered(n), None).unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // One file that holds both: always there, always of one pair.
                let full = fs::read_to_string(folder.directory.join("full.pem"));
                let Ok(full) = full else { continue };
                let (key, chain) = full.split_once("chain").unwrap();
                assert_eq!(key.trim_start_matches("key").trim(), chain.trim());
            }
        });
    }

    #[test]
    fn a_failed_write_leaves_the_old_one() {
        let shared = tempfile::tempdir().unwrap();
        let folder = CertificateFolder::new(&shared.path().join("gone"), "a.org");
        let error = folder.install(&pair("x"), None).unwrap_err().to_string();
        assert!(error.contains(".a.org.new"), "{error}");
    }
}
