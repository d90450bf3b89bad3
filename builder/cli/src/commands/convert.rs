//! `mailkiln convert`: the disk of an image in other formats.
//!
//! What is written depends on the disk's bytes alone, not on the format that they were in, nor on how a file
//! system stores them. It stands under another name until it is whole.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use mailkiln_flash::data_extents;
use mailkiln_format::{BadImage, Format, Opened, Sparse};
use mailkiln_image::disk::Extent;
use mailkiln_image::gpt::{self, BadGpt, SECTOR};
use mailkiln_publish::publish_copy;
use serde::Serialize;

use super::build::Artifact;
use crate::arguments::ConvertArguments;
use crate::failure::Failure;
use crate::printer::Printer;

/// Where the header of a GPT says which sector its copy is in, the last of the disk (UEFI 2.10 §5.3.2,
/// AlternateLBA).
const BACKUP: u64 = 32;

/// Writes the image in every format that was asked for.
pub(super) fn run(arguments: &ConvertArguments, printer: &Printer) -> Result<(), Failure> {
    let ConvertArguments { image, format, output, name } = arguments;
    let (found, disk) = mailkiln_format::open_with_format(image).map_err(|error| match error {
        BadImage::Io { path, error } => Failure::file("read", &path)(error),
        error => Failure::input(&error),
    })?;
    check_whole(image, &disk)?;
    let mut formats: Vec<Format> = Vec::new();
    for format in format {
        if !formats.contains(format) {
            formats.push(*format);
        }
    }
    if let Some(format) = formats.iter().find(|format| disk.size() > format.most()) {
        return Err(Failure::Input {
            message: format!("{format} holds disks of up to {} GiB", format.most() >> 30),
            causes: Vec::new(),
            hint: Some("choose another --format".to_owned()),
        });
    }
    let name = match name {
        Some(name) if !name.is_empty() && !name.starts_with('.') && !name.contains('/') => {
            name.clone()
        }
        Some(name) => return Err(bad_name(name)),
        None => stem(image, found),
    };
    fs::create_dir_all(output).map_err(Failure::file("make the folder", output))?;
    for format in &formats {
        let path = output.join(format!("{name}.{}", format.suffix()));
        let is_same = |path: &Path| path.canonicalize().ok() == image.canonicalize().ok();
        if path.exists() && is_same(&path) {
            return Err(Failure::Input {
                message: format!("{} is the image itself", path.display()),
                causes: Vec::new(),
                hint: Some("choose another --output or --name".to_owned()),
            });
        }
    }
    // What the file system knows to be a hole needs no look; it does not decide what is written.
    let data = if found == Format::RAW {
        File::open(image).map(|file| data_extents(&file, disk.size()))
    } else {
        Ok(vec![Extent { offset: 0, length: disk.size() }])
    };
    let sparse = data.and_then(|data| Sparse::scanned(&disk, &data));
    let sparse = sparse.map_err(Failure::file("read", image))?;
    let published = publish_copy(&sparse, &formats, output, &name);
    let published = published.map_err(|error| Failure::work(&error))?;
    let files = published
        .into_iter()
        .map(|it| Artifact { path: it.path, size: it.size, sha256: it.sha256 })
        .collect();
    printer.result(&Converted { from: found.name(), disk_size: disk.size(), files })
}

/// A raw disk that was cut short looks like a shorter one, but for its partition table.
fn check_whole(image: &Path, disk: &Opened) -> Result<(), Failure> {
    let end = match gpt::read(&**disk) {
        Ok(_) => {
            let last =
                disk.read_vec_at(SECTOR + BACKUP, 8).map_err(Failure::file("read", image))?;
            let last = last.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte));
            last.saturating_add(1).saturating_mul(SECTOR)
        }
        Err(error @ (BadGpt::Outside { .. } | BadGpt::Checksum(_))) => {
            return Err(Failure::input(&error)
                .with_hint("the image is damaged or was cut short; copy or build it again"));
        }
        // A disk of something else, or with a table that is none of ours.
        Err(_) => return Ok(()),
    };
    if end <= disk.size() {
        return Ok(());
    }
    Err(Failure::Input {
        message: format!(
            "{} was cut short: its disk has {} bytes, and its partition table says {end}",
            image.display(),
            disk.size()
        ),
        causes: Vec::new(),
        hint: Some("copy or build it again".to_owned()),
    })
}

fn bad_name(name: &str) -> Failure {
    Failure::Input {
        message: format!("`{}` is not a file name", name.escape_debug()),
        causes: Vec::new(),
        hint: Some("omit the folder (use --output) and the suffix".to_owned()),
    }
}

/// The name of an image without the ending of its format.
fn stem(image: &Path, format: Format) -> String {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let named = Format::of_name(image).unwrap_or(format);
    let stem = name.strip_suffix(named.suffix()).and_then(|stem| stem.strip_suffix('.'));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(&name).to_owned()
}

/// What was written.
#[derive(Serialize)]
struct Converted {
    /// The format that was read.
    from: &'static str,
    /// Bytes of the disk.
    disk_size: u64,
    files: Vec<Artifact>,
}

impl fmt::Display for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for artifact in &self.files {
            write!(f, "{between}{artifact}")?;
            between = "\n";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_format_is_taken_off() {
        for (path, stem) in [
            ("a/mail.img.zst", "mail"),
            ("mail.zlib.qcow2", "mail"),
            ("mail.example.test.img", "mail.example.test"),
            ("disk.raw", "disk.raw"),
            (".img", ".img"),
        ] {
            assert_eq!(super::stem(Path::new(path), Format::RAW), stem);
        }
    }
}
