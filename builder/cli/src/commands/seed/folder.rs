//! The folder of a seed on disk: for its owner alone.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use mailkiln_seed::{ACME_ACCOUNT_KEY, DKIM, DOCUMENT, HOST_KEY, Seed, SeedError};

use crate::failure::Failure;
use crate::printer::Printer;

/// Longest file that is read, in bytes: none of a seed has a tenth of it.
const LONGEST: u64 = 1 << 20;

/// Most files that are read from the folder of DKIM keys.
const MOST_KEYS: usize = 10_000;

/// Reads a seed; warns when others could do so too.
pub(in crate::commands) fn read(directory: &Path, printer: &Printer) -> Result<Seed, Failure> {
    let shown = directory.display();
    let metadata = fs::metadata(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Input {
            message: format!("there is no seed {shown}"),
            causes: Vec::new(),
            hint: Some(format!("`mailkiln seed new {shown}` creates one")),
        },
        _ => Failure::file("read", directory)(error),
    })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        printer.warning(format_args!("others may look into {shown}: chmod -R go= {shown}"));
    }
    let mut files = BTreeMap::new();
    for name in [DOCUMENT, HOST_KEY, ACME_ACCOUNT_KEY] {
        let path = directory.join(name);
        if path.exists() {
            files.insert(name.to_owned(), content(&path)?);
        }
    }
    let keys = directory.join(DKIM);
    if keys.exists() {
        for entry in fs::read_dir(&keys).map_err(Failure::file("read", &keys))?.take(MOST_KEYS) {
            let entry = entry.map_err(Failure::file("read", &keys))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What an editor or a version control system keeps there is none of ours.
            if !name.starts_with('.') && !name.ends_with('~') {
                files.insert(format!("{DKIM}/{name}"), content(&entry.path())?);
            }
        }
    }
    Seed::from_files(&files).map_err(|error| bad(directory, &error))
}

fn content(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Failure::file("read", path))?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(Failure::file("read", path))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::Input {
            message: format!("{} has more than {LONGEST} bytes", path.display()),
            causes: Vec::new(),
            hint: Some("is this the right file?".to_owned()),
        });
    }
    Ok(bytes)
}

/// A seed that can't be used, named by its folder.
pub(super) fn bad(directory: &Path, error: &SeedError) -> Failure {
    let message = format!("the seed {}: {error}", directory.display());
    Failure::Input { message, causes: Vec::new(), hint: None }
}

/// Refuses a folder that holds something.
pub(super) fn check_empty(directory: &Path) -> Result<(), Failure> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::file("make the folder", directory)(error)),
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Input {
            message: format!(
                "{} is not empty, and a seed is never overwritten",
                directory.display()
            ),
            causes: Vec::new(),
            hint: Some(
                "choose a new folder; the old one may hold keys that you have published".to_owned(),
            ),
        }),
    }
}

/// Writes a seed into a folder that is empty or not there yet.
pub(super) fn write(directory: &Path, seed: &Seed) -> Result<(), Failure> {
    make(directory)?;
    for (name, bytes) in seed.to_files() {
        let path = directory.join(name);
        if let Some(above) = path.parent().filter(|above| *above != directory) {
            make(above)?;
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .map_err(Failure::file("write", &path))?;
    }
    Ok(())
}

fn make(directory: &Path) -> Result<(), Failure> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(directory, Permissions::from_mode(0o700))
        }
        other => other,
    }
    .map_err(Failure::file("make the folder", directory))
}
