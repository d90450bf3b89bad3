//! `mailkiln upload`: an image to where machines start from it.
//!
//! In: a destination of the list, an image file. Out: the image's identifier there and what to do next. What is known of the
//! image comes from its partition table and from the bill of materials beside it.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use mailkiln_format::{BadImage, Format};
use mailkiln_image::gpt;
use mailkiln_pin::{Arch, Sha256};
use mailkiln_upload::artifact::plain;
use mailkiln_upload::destination::Stored;
use mailkiln_upload::{Artifact, Destination, Next, Outcome, Surroundings, UploadError};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::UploadArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Bars;

/// The longest bill of materials that is read, in bytes.
const LONGEST_BILL: u64 = 64 << 20;

/// Uploads, and prunes.
pub(super) fn run(arguments: &UploadArguments, printer: &Printer) -> Result<(), Failure> {
    let entry = arguments.destination;
    let given = arguments.settings().map_err(|key| Failure::Input {
        message: format!("`{key}` is given twice"),
        causes: Vec::new(),
        hint: Some("give it once".to_owned()),
    })?;
    let destination = entry.open(given, Surroundings::of_process()).map_err(failure)?;
    let destination = destination.as_ref();
    let mut report = Report {
        destination: entry.name,
        place: destination.place(),
        outcome: None,
        image: None,
        sha256: None,
        plan: Vec::new(),
        removed: Vec::new(),
        next: None,
    };
    let artifact = match &arguments.image {
        Some(path) => Some(artifact(path)?),
        None => None,
    };
    if let Some(artifact) = &artifact {
        entry.accepts(artifact).map_err(failure)?;
        report.sha256 = Some(artifact.sha256);
        if arguments.abandon {
            let found = mailkiln_upload::abandon(entry.name, destination, artifact);
            let found = found.map_err(failure)?;
            report.outcome = Some(if found { "abandoned" } else { "nothing to abandon" });
            return printer.result(&report);
        }
    }
    let name = match (&arguments.name, &artifact) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(artifact)) => Some(artifact.name.clone()),
        (None, None) => None,
    };
    if arguments.dry_run {
        report.outcome = Some("planned");
        report.plan = plan(destination, artifact.as_ref(), arguments.prune, name.as_deref());
        return printer.result(&report);
    }
    if let Some(artifact) = &artifact {
        let bars = Bars::new(printer);
        let (outcome, stored) =
            mailkiln_upload::upload(entry.name, destination, artifact, &bars).map_err(failure)?;
        report.outcome = Some(match outcome {
            Outcome::Uploaded => "uploaded",
            Outcome::AlreadyThere => "already there",
        });
        let next = mailkiln_upload::next(entry, destination, artifact, &stored);
        report.next = Some(next.map_err(failure)?);
        report.image = Some(stored);
    }
    if let Some(keep) = arguments.prune {
        let name = name.ok_or_else(|| Failure::Input {
            message: "--prune without an image needs a name".to_owned(),
            causes: Vec::new(),
            hint: Some("add `--name mail.example.org-aws-x86_64`: host name and target".to_owned()),
        })?;
        let protected = report.image.as_ref();
        let removed = mailkiln_upload::prune(destination, &name, keep.into(), protected);
        report.removed = removed.map_err(failure)?;
    }
    printer.result(&report)
}

fn plan(
    destination: &dyn Destination,
    artifact: Option<&Artifact>,
    prune: Option<u16>,
    name: Option<&str>,
) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(artifact) = artifact {
        steps.push(format!(
            "look for an image with SHA-256 {}; end if it is there",
            artifact.sha256
        ));
        steps.extend(destination.plan(artifact));
    }
    if let (Some(keep), Some(name)) = (prune, name) {
        steps.push(format!("remove all but the newest {keep} images of {}", plain(name)));
    }
    steps
}

fn failure(error: UploadError) -> Failure {
    let failure = match error.is_input() {
        true => Failure::input(&error),
        false => Failure::work(&error),
    };
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// What is known of an image file.
fn artifact(path: &Path) -> Result<Artifact, Failure> {
    let (format, disk) = mailkiln_format::open_with_format(path).map_err(|error| match error {
        BadImage::Io { path, error } => Failure::file("read", &path)(error),
        error => Failure::input(&error),
    })?;
    let table = gpt::read(&*disk).map_err(|error| {
        Failure::input(&error).with_hint("only images of appliances can be uploaded")
    })?;
    let kinds = table.partitions.iter().map(|partition| partition.kind.to_string());
    let arch = kinds.filter_map(|kind| arch_of(&kind)).next();
    let arch = arch.ok_or_else(|| Failure::Input {
        message: format!("{} has no root partition of a known processor", path.display()),
        causes: Vec::new(),
        hint: Some("only images of appliances can be uploaded".to_owned()),
    })?;
    let named = Format::of_name(path).unwrap_or(format);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = file.strip_suffix(named.suffix()).and_then(|stem| stem.strip_suffix('.'));
    let bill = bill(path)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Artifact {
        path: path.to_owned(),
        size: std::fs::metadata(path).map_err(Failure::file("read", path))?.len(),
        sha256: digest(path)?,
        disk_size: disk.size(),
        format: format.name(),
        suffix: format.suffix(),
        name: stem.filter(|stem| !stem.is_empty()).unwrap_or(&file).to_owned(),
        arch,
        version: text(&bill["packages"][0]["versionInfo"]),
        lock_time: text(&bill["creationInfo"]["created"]),
    })
}

/// The processor of a root partition, by its type (Discoverable Partitions Specification).
fn arch_of(kind: &str) -> Option<Arch> {
    match kind.to_ascii_lowercase().as_str() {
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" => Some(Arch::X86_64),
        "b921b045-1df0-41c3-af44-4c6f280d3fae" => Some(Arch::Aarch64),
        _ => None,
    }
}

/// The bill of materials beside an image; nothing where there is none.
fn bill(path: &Path) -> Result<Value, Failure> {
    let at = beside(path, "spdx.json");
    let Ok(metadata) = std::fs::metadata(&at) else { return Ok(Value::Null) };
    if metadata.len() > LONGEST_BILL {
        return Ok(Value::Null);
    }
    let bytes = std::fs::read(&at).map_err(Failure::file("read", &at))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::input(&error)
            .with_hint(format!("{} is damaged: remove it or build again", at.display()))
    })
}

/// The digest of an image: that of the file beside it, which the upload checks while it reads the image, or else computed.
fn digest(path: &Path) -> Result<Sha256, Failure> {
    let at = beside(path, "sha256");
    if let Ok(text) = std::fs::read_to_string(&at) {
        let word = text.split_whitespace().next().unwrap_or_default();
        return word.parse().map_err(|_| Failure::Input {
            message: format!("{} does not begin with a SHA-256", at.display()),
            causes: Vec::new(),
            hint: Some("remove the file, or build the image again".to_owned()),
        });
    }
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    let mut hash = <sha2::Sha256 as sha2::Digest>::new();
    std::io::copy(&mut file, &mut hash).map_err(Failure::file("read", path))?;
    Ok(Sha256::from_bytes(sha2::Digest::finalize(hash).into()))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{ending}"))
}

/// What was done.
#[derive(Serialize)]
struct Report {
    destination: &'static str,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<String>,
    removed: Vec<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.unwrap_or("pruned");
        write!(f, "{outcome}: {}", self.place)?;
        if let Some(stored) = &self.image {
            write!(f, "\n  {}  {}", stored.id, stored.name)?;
        }
        for (number, step) in self.plan.iter().enumerate() {
            write!(f, "\n  {}. {step}", number + 1)?;
        }
        for stored in &self.removed {
            write!(f, "\nremoved {}  {}", stored.id, stored.name)?;
        }
        if let Some(next) = &self.next {
            for (title, text) in [
                ("Start a machine", &next.commands),
                ("The same with Terraform or OpenTofu", &next.terraform),
                ("What mail needs", &next.mail),
            ] {
                if !text.is_empty() {
                    write!(f, "\n\n# {title}\n{text}")?;
                }
            }
        }
        Ok(())
    }
}
