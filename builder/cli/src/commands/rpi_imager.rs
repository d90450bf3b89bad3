//! `mailkiln export rpi-imager`: the list of images that Raspberry Pi Imager takes as `--repo`.
//!
//! In: images of boards. Out: the list, in the form of `doc/json-schema/os-list-schema.json` of Imager's sources. What an
//! image is for and how old it is, its root says; names of files decide nothing.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use mailkiln_bytes_at::ReadAt;
use mailkiln_format::{BadImage, Format, Hashing, open_with_format};
use mailkiln_image::inspect::root_file;
use mailkiln_pin::Sha256;
use mailkiln_spec::target::builtin_target;
use mailkiln_tree::TreePath;
use serde::Serialize;

use crate::arguments::ExportRpiImagerArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::whole_file;

/// Most bytes of an os-release or hostname.
const LONGEST: u64 = 64 << 10;
/// Bytes that are read and hashed at once.
const BATCH: usize = 4 << 20;

/// Writes the list.
pub(super) fn run(arguments: &ExportRpiImagerArguments, printer: &Printer) -> Result<(), Failure> {
    let place = Place::of(arguments.address.as_deref())?;
    let entries: Vec<Entry> =
        arguments.images.iter().map(|image| entry(image, &place)).collect::<Result<_, _>>()?;
    let list = List { os_list: entries };
    let mut text = serde_json::to_string_pretty(&list).map_err(|error| Failure::work(&error))?;
    text.push('\n');
    whole_file::write(&arguments.output, text.as_bytes())?;
    let repository = match &place {
        Place::Folder(address) => {
            let name = arguments.output.file_name().unwrap_or_default().to_string_lossy();
            format!("{address}{name}")
        }
        Place::Here => arguments.output.display().to_string(),
    };
    printer.result(&Written { list: arguments.output.clone(), images: list.os_list, repository })
}

/// Where Imager finds the images.
enum Place {
    /// An address with a slash at its end.
    Folder(String),
    /// On this machine.
    Here,
}

impl Place {
    fn of(address: Option<&str>) -> Result<Self, Failure> {
        let Some(address) = address else { return Ok(Self::Here) };
        let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c);
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/'))
            || !address.chars().all(plain)
        {
            return Err(Failure::Input {
                message: format!("`{}` is not the address of a folder", address.escape_debug()),
                causes: Vec::new(),
                hint: Some("write it like https://downloads.example.org/mail".to_owned()),
            });
        }
        Ok(Self::Folder(format!("{}/", address.trim_end_matches('/'))))
    }

    /// The address of an image.
    fn url(&self, image: &Path) -> Result<String, Failure> {
        match self {
            Self::Folder(address) => {
                let name = image.file_name().unwrap_or_default();
                Ok(format!("{address}{}", escaped(name.as_encoded_bytes())))
            }
            Self::Here => {
                let path = image.canonicalize().map_err(Failure::file("find", image))?;
                Ok(format!("file://{}", escaped(path.as_os_str().as_encoded_bytes())))
            }
        }
    }
}

/// Bytes of a path in an address (RFC 3986, 2.1).
fn escaped(path: &[u8]) -> String {
    let byte = |&byte: &u8| match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.iter().map(byte).collect()
}

/// The list as Imager reads it.
#[derive(Debug, Serialize)]
struct List {
    os_list: Vec<Entry>,
}

/// One image.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    description: String,
    /// The schema demands one; none of ours is published anywhere.
    icon: &'static str,
    url: String,
    /// Bytes of the disk.
    extract_size: u64,
    extract_sha256: Sha256,
    /// Bytes of the file.
    image_download_size: u64,
    image_download_sha256: Sha256,
    /// The day of the lock.
    release_date: String,
    devices: Vec<String>,
    /// Imager's customisation is for other systems.
    init_format: &'static str,
}

fn entry(path: &Path, place: &Place) -> Result<Entry, Failure> {
    let (format, disk) = open_with_format(path).map_err(|error| match error {
        BadImage::Io { path, error } => Failure::file("read", &path)(error),
        error => Failure::input(&error),
    })?;
    let known = ["img", "img.xz", "img.gz", "img.zst"];
    if !known.contains(&format.name()) {
        return Err(not_for_imager(path, format));
    }
    let text = |name: &str| {
        let at = TreePath::parse(name).map_err(|error| Failure::work(&error))?;
        let bytes = root_file(&*disk, &at, LONGEST).map_err(|error| Failure::input(&error))?;
        Ok::<_, Failure>(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let (os_release, host) = (text("usr/lib/os-release")?, text("etc/hostname")?);
    let about = About::read(&os_release).ok_or_else(|| Failure::Input {
        message: format!("{} is not the image of an appliance", path.display()),
        causes: Vec::new(),
        hint: Some("name images of `mailkiln build`".to_owned()),
    })?;
    let target = builtin_target(&about.target).map_err(|error| Failure::input(&error))?;
    if target.imager_devices.is_empty() {
        return Err(Failure::Input {
            message: format!(
                "{} is for {}, which is not a Raspberry Pi",
                path.display(),
                target.title
            ),
            causes: Vec::new(),
            hint: Some("write it with `mailkiln flash` or another flasher".to_owned()),
        });
    }
    let (extract_sha256, extract_size) =
        digest(&*disk, disk.size()).map_err(Failure::file("read", path))?;
    let file = File::open(path).map_err(Failure::file("read", path))?;
    let (image_download_sha256, image_download_size) =
        digest_stream(file).map_err(Failure::file("read", path))?;
    Ok(Entry {
        name: format!("{} on {}", host.trim(), target.title),
        description: format!("Mail appliance, Mailkiln {}", about.version),
        icon: "",
        url: place.url(path)?,
        extract_size,
        extract_sha256,
        image_download_size,
        image_download_sha256,
        release_date: about.day,
        devices: target.imager_devices,
        init_format: "none",
    })
}

fn not_for_imager(path: &Path, format: Format) -> Failure {
    Failure::Input {
        message: format!("{} is {format}, which Imager does not read", path.display()),
        causes: Vec::new(),
        hint: Some("build it with --format img.xz".to_owned()),
    }
}

/// What an image says about itself.
#[derive(Debug, PartialEq, Eq)]
struct About {
    target: String,
    version: String,
    /// The day of its lock, as 2026-11-21.
    day: String,
}

impl About {
    /// Reads os-release(5); `None` where it is that of another system.
    fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim_matches('"').to_owned())
        };
        if value("IMAGE_ID")? != "mailkiln" {
            return None;
        }
        let version = value("IMAGE_VERSION")?;
        // The version ends with the day of the lock.
        let (_, day) = version.rsplit_once('-')?;
        if day.len() != 8 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
        Some(Self { target: value("VARIANT_ID")?, version, day })
    }
}

/// Digest and length of a disk.
fn digest(disk: &dyn ReadAt, size: u64) -> io::Result<(Sha256, u64)> {
    let mut out = Hashing::new(io::sink());
    let mut at = 0;
    while at < size {
        let length = BATCH.min(usize::try_from(size - at).unwrap_or(BATCH));
        io::Write::write_all(&mut out, &disk.read_vec_at(at, length)?)?;
        at += length as u64;
    }
    let (_, sha256, length) = out.finish()?;
    Ok((sha256, length))
}

fn digest_stream(mut file: fs::File) -> io::Result<(Sha256, u64)> {
    let mut out = Hashing::new(io::sink());
    io::copy(&mut file, &mut out)?;
    let (_, sha256, length) = out.finish()?;
    Ok((sha256, length))
}

/// What was written.
#[derive(Serialize)]
struct Written {
    list: PathBuf,
    images: Vec<Entry>,
    repository: String,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, images, repository } = self;
        for entry in images {
            writeln!(f, "{} of {}: {}", entry.name, entry.release_date, entry.url)?;
        }
        write!(f, "{} lists them.\n\nStart it: rpi-imager --repo {repository}", list.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OS_RELEASE: &str = "\
PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"
IMAGE_ID=mailkiln
IMAGE_VERSION=0.1.0-20261121
VARIANT_ID=rpi4
";

    #[test]
    fn an_image_says_what_it_is_for_and_from_when_it_is() {
        let about = About::read(OS_RELEASE).unwrap();
        assert_eq!((about.target.as_str(), about.day.as_str()), ("rpi4", "2026-11-21"));
        for (from, to) in [
            ("mailkiln", "other"),
            ("-20261121", ""),
            ("20261121", "2026112x"),
            ("VARIANT_ID=rpi4", ""),
        ] {
            assert_eq!(About::read(&OS_RELEASE.replace(from, to)), None, "{to}");
        }
    }

    #[test]
    fn addresses_are_those_of_folders_and_names_are_escaped() {
        for (address, url) in [
            ("https://a.example/x", Some("https://a.example/x/mail%20%23.img.xz")),
            ("http://a.example/", Some("http://a.example/mail%20%23.img.xz")),
            ("a.example", None),
            ("https://", None),
            ("https://a.example/?x", None),
            ("ftp://a.example/", None),
        ] {
            let place = Place::of(Some(address)).ok();
            let found = place.map(|place| place.url(Path::new("out/mail #.img.xz")).unwrap());
            assert_eq!(found.as_deref(), url, "{address}");
        }
    }

    #[test]
    fn a_disk_is_hashed_to_its_end() {
        let disk = vec![7_u8; BATCH + 5];
        let (sha256, length) = digest(&disk.as_slice(), disk.len() as u64).unwrap();
        assert_eq!((sha256, length), (Sha256::of(&disk), disk.len() as u64));
    }
}
