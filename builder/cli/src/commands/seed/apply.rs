//! `mailkiln seed apply`: puts a seed into the place that an image has for it.
//!
//! Nothing is written before the seed was found to be one, and the image to be the one that it is
//! for. Only the bytes of the place change; the agent erases the same ones.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mailkiln_bytes_at::ReadAt;
use mailkiln_flash::{Compression, Contents, FlashError, Image, System, Target, patch};
use mailkiln_image::disk::{Extent, SEED_ROOM, seed_place};
use mailkiln_image::inspect::root_file;
use mailkiln_seed::{Facts, Seed};
use mailkiln_tree::TreePath;
use serde::Serialize;

use super::folder;
use crate::arguments::SeedApplyArguments;
use crate::failure::Failure;
use crate::printer::Printer;

/// What an image says of itself.
const FACTS: &str = "etc/mailkiln/appliance.json";
/// Longest such file that is read, in bytes.
const MOST_FACTS: u64 = 16 << 20;

/// Applies a seed to an image file or a device.
pub(super) fn run(arguments: &SeedApplyArguments, printer: &Printer) -> Result<(), Failure> {
    let loaded = Loaded::read(&arguments.directory, printer)?;
    let path = &arguments.image;
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if is_file {
        check_file(path)?;
    }
    let mut target =
        System::this().open_in_place(path).map_err(|error| match error.is_refusal() {
            true => Failure::input(&error),
            false => Failure::work(&error),
        })?;
    let place = loaded.examine(&Contents::of(&mut *target))?;
    if !arguments.replace {
        check_free(path, &Contents::of(&mut *target), &place)?;
    }
    if is_file {
        // From now on it is as private as the folder.
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(Failure::file("make private", path))?;
    }
    loaded.write(&mut *target, &place)?;
    let (image, directory) = (path.clone(), arguments.directory.clone());
    printer.result(&Applied { image, directory, host: loaded.seed.host.to_string() })
}

/// A seed, ready to be written.
pub(in crate::commands) struct Loaded {
    directory: PathBuf,
    seed: Seed,
    bytes: Vec<u8>,
}

impl Loaded {
    /// Reads a seed's folder.
    pub(in crate::commands) fn read(directory: &Path, printer: &Printer) -> Result<Self, Failure> {
        let seed = folder::read(directory, printer)?;
        let bytes = seed.encode(SEED_ROOM).map_err(|error| folder::bad(directory, &error))?;
        Ok(Self { directory: directory.to_owned(), seed, bytes })
    }

    /// Whose it is.
    pub(in crate::commands) fn host(&self) -> String {
        self.seed.host.to_string()
    }

    /// Where the seed goes on `disk`, once that is found to hold the image that it is for.
    pub(in crate::commands) fn examine(&self, disk: &dyn ReadAt) -> Result<Vec<Extent>, Failure> {
        let place = seed_place(disk).map_err(|error| Failure::input(&error))?;
        let path = TreePath::parse(FACTS).map_err(|error| Failure::input(&error))?;
        let file = root_file(disk, &path, MOST_FACTS).map_err(|error| Failure::input(&error))?;
        let facts = file.and_then(|bytes| Facts::parse(&bytes)).ok_or_else(|| Failure::Input {
            message: format!("the image does not say what it is for: it lacks /{FACTS}"),
            causes: Vec::new(),
            hint: Some("is it a complete image from `mailkiln build`?".to_owned()),
        })?;
        facts.fit(&self.seed).map_err(|error| Failure::Input {
            message: format!("the seed {} does not fit: {error}", self.directory.display()),
            causes: Vec::new(),
            hint: None,
        })?;
        Ok(place)
    }

    /// Writes the seed and reads it back.
    pub(in crate::commands) fn write(
        &self,
        target: &mut dyn Target,
        place: &[Extent],
    ) -> Result<(), Failure> {
        let ranges: Vec<_> = place.iter().map(|it| (it.offset, it.length)).collect();
        patch(target, &ranges, &self.bytes).map_err(|error| Failure::work(&error))
    }
}

/// Refuses files that have no place that can be overwritten, and those that are made to be given away.
fn check_file(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let refused = |message: String, hint: String| {
        Err(Failure::Input { message, causes: Vec::new(), hint: Some(hint) })
    };
    match Image::open(path) {
        Ok(image) if image.compression() != Compression::None => {
            return refused(
                format!("{shown} is compressed, so nothing in it can be overwritten"),
                "`mailkiln flash --seed DIR` writes it and the seed to a card; `mailkiln convert --format img` expands a copy"
                    .to_owned(),
            );
        }
        Err(error @ (FlashError::NotAnImage { .. } | FlashError::OtherFormat { .. })) => {
            let hint =
                "build with --format img; a cloud gets its secrets from the device's console";
            return Err(Failure::input(&error).with_hint(hint));
        }
        // A block map that does not fit is no obstacle to overwriting bytes.
        _ => {}
    }
    let mut digest = path.as_os_str().to_owned();
    digest.push(".sha256");
    if Path::new(&digest).exists() {
        return refused(
            format!(
                "{shown} has a .sha256 beside it: it is made to be given away, and must hold no secret"
            ),
            format!(
                "apply the seed to a copy (cp --sparse=always {shown} private.img), or to the card"
            ),
        );
    }
    Ok(())
}

/// Refuses a place that holds something.
fn check_free(path: &Path, disk: &dyn ReadAt, place: &[Extent]) -> Result<(), Failure> {
    for extent in place {
        let bytes = disk.read_vec_at(extent.offset, extent.length as usize);
        if bytes.map_err(Failure::file("read", path))?.iter().any(|&byte| byte != 0) {
            return Err(Failure::Input {
                message: format!(
                    "{} holds a seed already, which no device has used yet",
                    path.display()
                ),
                causes: Vec::new(),
                hint: Some("--replace overwrites it".to_owned()),
            });
        }
    }
    Ok(())
}

/// What was done.
#[derive(Serialize)]
struct Applied {
    image: PathBuf,
    directory: PathBuf,
    host: String,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The seed of {0} is on {1}. Keep {1} to yourself until it was booted: the device takes \
             the seed over and erases it there.",
            self.host,
            self.image.display()
        )
    }
}
