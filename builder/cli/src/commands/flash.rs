//! `mailkiln flash`: writes an image to a card, a stick or a disk, and reads it back.
//!
//! Nothing is written before the image was found to be one, the device to be nobody's, and its name
//! was typed. An image from an address goes into the cache first, and so is known to be right.

use std::fmt;
use std::path::{Path, PathBuf};

use mailkiln_fetch::{FetchError, Fetcher, Mirrors};
use mailkiln_flash::{
    Compression, Contents, Device, FlashError, Flashed, Image, Interrupt, System, Target, flash,
};
use mailkiln_pin::Sha256;
use mailkiln_spec::display_size;
use serde::Serialize;

use super::seed::Loaded;
use super::sign;
use crate::arguments::FlashArguments;
use crate::failure::Failure;
use crate::pins;
use crate::printer::Printer;
use crate::progress::Bars;

/// Flashes, or lists what could be flashed.
pub(super) fn run(arguments: &FlashArguments, printer: &Printer) -> Result<(), Failure> {
    let is_address = ["https://", "http://"].iter().any(|it| arguments.image.starts_with(it));
    if is_address && arguments.sha256.is_none() {
        return Err(Failure::Input {
            message: "an image from a URL needs --sha256".to_owned(),
            causes: Vec::new(),
            hint: Some("its digest is in the .sha256 file beside it".to_owned()),
        });
    }
    let Some(device) = &arguments.device else {
        let image = if is_address { None } else { Some(open(Path::new(&arguments.image))?) };
        let devices = System::this().removable().map_err(|error| failure(&error))?;
        return printer.result(&List::of(&arguments.image, image.as_ref(), &devices));
    };
    if printer.is_json() && !arguments.yes {
        return Err(Failure::Input {
            message: "--json can't ask for the device's name".to_owned(),
            causes: Vec::new(),
            hint: Some("add --yes if you are sure of the device".to_owned()),
        });
    }
    let seed = arguments.seed.as_ref().map(|directory| Loaded::read(directory, printer));
    let seed = seed.transpose()?;
    let bars = Bars::new(printer);
    let path = match (is_address, arguments.sha256) {
        (true, Some(sha256)) => download(&arguments.image, sha256, &bars)?,
        _ => PathBuf::from(&arguments.image),
    };
    if let Some(key) = &arguments.key {
        check_signature(&path, key, is_address)?;
    }
    let mut image = open(&path)?;
    // What the cache holds was hashed on its way in.
    let beside = || image.digest_beside().map_err(|error| failure(&error));
    let wanted = match (is_address, arguments.sha256) {
        (true, _) => None,
        (false, Some(wanted)) => Some(wanted),
        (false, None) => beside()?,
    };
    if let Some(wanted) = wanted {
        image.check_digest(wanted, &bars).map_err(|error| failure(&error))?;
    }
    if let Some(seed) = seed.as_ref().filter(|_| image.compression() == Compression::None) {
        let disk = mailkiln_format::open(&path).map_err(|error| Failure::input(&error))?;
        seed.examine(&disk)?;
    }
    let size = image.measure(&bars).map_err(|error| failure(&error))?;
    let (mut target, found) =
        System::this().open(device, &image, size).map_err(|error| failure(&error))?;
    if !arguments.yes {
        confirm(device, target.size(), found.as_ref(), printer)?;
    }
    let stop = Interrupt::on_signals()
        .map_err(|error| FlashError::Resources { action: "watch for signals", error })
        .map_err(|error| failure(&error))?;
    let flashed = flash(&mut image, &mut *target, &bars, &stop).map_err(|error| failure(&error))?;
    let seeded = seed.map(|seed| plant(&seed, &mut *target, device, arguments)).transpose()?;
    // Only now may others look into it.
    drop(target);
    printer.result(&Done::of(arguments, device, flashed, seeded))
}

/// Nothing is written that the key has not signed: neither the image nor what its block map leaves out.
fn check_signature(path: &Path, key: &str, is_address: bool) -> Result<(), Failure> {
    if is_address {
        return Err(Failure::Input {
            message: "--key checks the .minisig beside a file, but this image is a URL".to_owned(),
            causes: Vec::new(),
            hint: Some("download IMAGE, IMAGE.minisig and IMAGE.bmap first".to_owned()),
        });
    }
    sign::check(path, key)?;
    // Either may be the block map: that of `disk.img.zst` can be `disk.img.bmap`.
    for image in [path.to_owned(), path.with_extension("")] {
        let mut map = image.into_os_string();
        map.push(".bmap");
        let map = PathBuf::from(map);
        if map.exists() {
            sign::check(&map, key)?;
        }
    }
    Ok(())
}

/// Puts the seed onto the device, which holds the image by now; whose seed it is.
fn plant(
    seed: &Loaded,
    target: &mut dyn Target,
    device: &Path,
    arguments: &FlashArguments,
) -> Result<String, Failure> {
    let place = seed.examine(&Contents::of(target));
    place.and_then(|place| seed.write(target, &place)).map_err(|failure| {
        let mut causes = vec![failure.to_string()];
        causes.extend(failure.causes());
        Failure::Work {
            message: format!("{} holds the image, but not the seed", device.display()),
            causes,
            hint: Some(format!(
                "then: mailkiln seed apply --replace {} {}; without it the device generates its own secrets",
                device.display(),
                arguments.seed.as_deref().unwrap_or(Path::new("DIR")).display()
            )),
        }
    })?;
    Ok(seed.host())
}

fn open(path: &Path) -> Result<Image, Failure> {
    Image::open(path).map_err(|error| failure(&error))
}

/// Exit code 2 for what was refused, 1 for what has failed.
fn failure(error: &FlashError) -> Failure {
    if error.is_refusal() { Failure::input(error) } else { Failure::work(error) }
}

/// Puts the image into the cache, where an interrupted download is taken up again.
fn download(address: &str, sha256: Sha256, bars: &Bars<'_>) -> Result<PathBuf, Failure> {
    let cache = pins::cache()?;
    if let Some(path) = cache.blob(&sha256) {
        return Ok(path);
    }
    let mirrors = Mirrors::default();
    let fetcher = Fetcher::new(&cache, &mirrors);
    let wanted = fetcher.at(address, sha256);
    let paths = wanted.and_then(|wanted| fetcher.files(&[wanted], bars));
    paths.map(|mut paths| paths.pop().unwrap_or_default()).map_err(|error| match error {
        FetchError::Lost { tried, .. } | FetchError::Unreachable { tried, .. } => Failure::Work {
            message: "can't download the image".to_owned(),
            causes: tried,
            hint: Some("check the address, the network and HTTPS_PROXY".to_owned()),
        },
        other => Failure::work(&other),
    })
}

/// Has the device's name typed.
fn confirm(
    path: &Path,
    size: u64,
    device: Option<&Device>,
    printer: &Printer,
) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let what = match device {
        Some(device) => DeviceReport::of(device, None).to_string(),
        None => format!("{shown}  {}  plain file", display_size(size)),
    };
    let question = format!("{what}\nEverything on it will be lost. Type {name} to go on:");
    match printer.ask(question)? {
        Some(typed) if typed == name || typed == shown => Ok(()),
        _ => Err(Failure::Input {
            message: format!("{shown} was not changed: its name was not typed"),
            causes: Vec::new(),
            hint: Some(format!("type {name}, or use --yes in scripts")),
        }),
    }
}

/// The devices that can be pulled out.
#[derive(Serialize)]
struct List {
    #[serde(skip)]
    image: String,
    devices: Vec<DeviceReport>,
}

#[derive(Serialize)]
struct DeviceReport {
    path: PathBuf,
    model: String,
    size: u64,
    removable: bool,
    /// File system and label, where there are no partitions.
    contents: String,
    partitions: Vec<PartitionReport>,
    /// Why it would be refused.
    refused: Option<String>,
}

#[derive(Serialize)]
struct PartitionReport {
    name: String,
    size: u64,
    contents: String,
}

impl List {
    fn of(address: &str, image: Option<&Image>, devices: &[Device]) -> Self {
        let needed = image.and_then(Image::known_size);
        let devices = devices.iter().map(|device| DeviceReport::of(device, needed)).collect();
        Self { image: address.to_owned(), devices }
    }
}

impl DeviceReport {
    fn of(device: &Device, needed: Option<u64>) -> Self {
        let (path, size) = (device.path(), device.size);
        let small = needed.filter(|&needed| needed > size);
        let small = small.map(|needed| FlashError::TooSmall { device: path.clone(), size, needed });
        let refused = device.check().err().or(small).map(|error| error.to_string());
        let partitions = device.partitions.iter().map(|part| PartitionReport {
            name: part.name.clone(),
            size: part.size,
            contents: escaped(&part.contents),
        });
        Self {
            path,
            model: escaped(&device.model),
            size,
            removable: device.removable,
            contents: escaped(&device.contents),
            partitions: partitions.collect(),
            refused,
        }
    }
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = if self.model.is_empty() { "of unknown make" } else { &self.model };
        write!(f, "{}  {}  {model}", self.path.display(), display_size(self.size))?;
        if !self.removable {
            write!(f, "  (built in)")?;
        }
        if self.partitions.is_empty() {
            let contents = if self.contents.is_empty() { "nothing known" } else { &self.contents };
            write!(f, "\n  on it: {contents}")?;
        }
        for PartitionReport { name, size, contents } in &self.partitions {
            write!(f, "\n  {name}  {}  {contents}", display_size(*size))?;
        }
        self.refused.as_ref().map_or(Ok(()), |reason| write!(f, "\n  can't be used: {reason}"))
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devices.is_empty() {
            return write!(
                f,
                "No removable device was found: plug one in, and run the command again.\n\
                 A disk that is built in can be named all the same: mailkiln flash {} /dev/NAME",
                self.image
            );
        }
        for device in &self.devices {
            writeln!(f, "{device}")?;
        }
        let usable = self.devices.iter().find(|device| device.refused.is_none());
        usable.map_or(Ok(()), |device| {
            write!(f, "\nNext: mailkiln flash {} {}", self.image, device.path.display())
        })
    }
}

/// What was flashed.
#[derive(Serialize)]
struct Done {
    image: String,
    device: PathBuf,
    /// Bytes of the disk in the image.
    size: u64,
    /// Bytes that were written and read back.
    written: u64,
    /// Seconds until everything was on the device.
    writing_seconds: f64,
    /// Seconds of reading it back.
    verifying_seconds: f64,
    /// Whether the kernel shows the new partitions already.
    rescanned: bool,
    /// Host name of the seed that is on it, if one is.
    seed: Option<String>,
}

impl Done {
    fn of(
        arguments: &FlashArguments,
        device: &Path,
        flashed: Flashed,
        seed: Option<String>,
    ) -> Self {
        let Flashed { size, written, writing, verifying, rescanned } = flashed;
        Self {
            image: arguments.image.clone(),
            device: device.to_owned(),
            size,
            written,
            writing_seconds: writing.as_secs_f64(),
            verifying_seconds: verifying.as_secs_f64(),
            rescanned,
            seed,
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is on {}: {} MB written in {:.1} s, read back in {:.1} s, and right.",
            self.image,
            self.device.display(),
            self.written / 1_000_000,
            self.writing_seconds,
            self.verifying_seconds
        )?;
        if let Some(host) = &self.seed {
            write!(f, "\nThe seed of {host} is on it, until the device has taken it over.")?;
        }
        if self.rescanned {
            return Ok(());
        }
        write!(f, "\nPull it out and plug it in again to see the new partitions.")
    }
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}
