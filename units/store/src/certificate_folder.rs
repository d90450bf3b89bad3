//! `/var/lib/mailkiln-acme/live/NAME`: the five files of a certificate, named as NixOS names them, replaced in one step.
//!
//! In: a chain and its key, PEM. Out: the folder, on the medium. Readers see all five of the old
//! certificate or all five of the new one; so does the next boot after a power cut.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::durable::{self, DurableError};
use crate::journal;

/// The group may replace what is in it: the agent makes the first certificate, the ACME client the
/// next one, and they are two users. Those who only read have no write access in their sandbox.
const FOLDER_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o640;
/// Names for the new folder. A second one is needed only where something under the first belongs to
/// another user and stays.
const ATTEMPTS: u32 = 8;

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
    /// `/var/lib/mailkiln-acme/live/NAME`.
    pub directory: PathBuf,
    /// Certificate and intermediates, PEM.
    pub chain: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl CertificateFolder {
    /// The folder of `name` in `shared`, which is `/var/lib/mailkiln-acme/live`.
    pub fn new(shared: &Path, name: &str) -> Self {
        let directory = shared.join(name);
        Self { chain: directory.join("fullchain.pem"), key: directory.join("key.pem"), directory }
    }

    /// `/var/lib/mailkiln-acme/live`, whose group may read certificates.
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
        let fresh = self.fresh()?;
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
        // What was in use until now. The new certificate is in place: a leftover must not fail it.
        if let Err(error) = remove(&fresh) {
            journal::warn(&format!("{error}; the new certificate is in use all the same"));
        }
        Ok(())
    }

    fn swap(&self, fresh: &Path) -> Result<(), DurableError> {
        let flags = match fs::symlink_metadata(&self.directory) {
            Ok(_) => RenameFlags::EXCHANGE,
            Err(_) => RenameFlags::empty(),
        };
        renameat_with(CWD, fresh, CWD, &self.directory, flags)
            .map_err(|error| durable::failed("replace", &self.directory)(error.into()))
    }

    /// A path for the new folder, with nothing there. A leftover that can be removed is removed; one
    /// that can't (it belongs to another user) is left, and the next name is used.
    fn fresh(&self) -> Result<PathBuf, DurableError> {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        let path = |attempt: u32| match attempt {
            0 => self.directory.with_file_name(format!(".{name}.new")),
            _ => self.directory.with_file_name(format!(".{name}.new-{attempt}")),
        };
        let mut attempt = 0;
        loop {
            let path = path(attempt);
            attempt += 1;
            match remove(&path) {
                Ok(()) => return Ok(path),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(error) => journal::warn(&format!("{error}; it is left there")),
            }
        }
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

/// Removes a folder with all that is in it, or a file or link in its place; it may be gone already.
fn remove(folder: &Path) -> Result<(), DurableError> {
    let removed = match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(folder),
        Ok(_) => fs::remove_file(folder),
        Err(error) => Err(error),
    };
    match removed {
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

    /// As a user without privileges: to root no file of another user is closed.
    fn as_nobody(work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                if rustix::process::geteuid().is_root() {
                    let nobody = rustix::process::Uid::from_raw(65_534);
                    // Of this thread alone.
                    rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
                }
                work();
            });
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_leftover_of_another_user_does_not_block() {
        let shared = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        open(shared.path(), 0o777);
        let folder = CertificateFolder::new(shared.path(), "a.org");
        // As security.acme leaves a certificate: nobody else may remove what is in it.
        fs::create_dir(&folder.directory).unwrap();
        fs::write(folder.directory.join("key.pem"), "of another").unwrap();
        open(&folder.directory, 0o555);
        as_nobody(|| {
            for mark in ["one", "two", "three"] {
                folder.install(&pair(mark), None).unwrap();
                let key = fs::read_to_string(&folder.key).unwrap();
                assert_eq!(key, format!("key {mark}\n"));
            }
        });
        let mut left: Vec<_> = fs::read_dir(shared.path()).unwrap().flatten().collect();
        left.sort_by_key(fs::DirEntry::file_name);
        let names: Vec<_> = left.iter().map(|it| it.file_name()).collect();
        assert_eq!(names, [".a.org.new", "a.org"], "one leftover, however often");
        open(&left[0].path(), 0o755);
    }

    #[test]
    fn a_link_or_file_in_its_place_is_replaced_and_what_it_names_stays() {
        let shared = tempfile::tempdir().unwrap();
        let folder = CertificateFolder::new(shared.path(), "a.org");
        let other = shared.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("key.pem"), "of another").unwrap();
        symlink(&other, &folder.directory).unwrap();
        fs::write(shared.path().join(".a.org.new"), "a file").unwrap();
        folder.install(&pair("x"), None).unwrap();
        assert!(fs::symlink_metadata(&folder.directory).unwrap().is_dir());
        assert_eq!(fs::read_to_string(other.join("key.pem")).unwrap(), "of another");
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 2);
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
