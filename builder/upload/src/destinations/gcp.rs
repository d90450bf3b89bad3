//! Google Compute Engine: a tar.gz in a bucket of Cloud Storage, made an image.
//!
//! In: a tar.gz with `disk.raw`. Out: an image; the object is removed. The upload is a resumable session: after a break the
//! server is asked how much it has. CRC32C of the whole is compared. Sources: "Resumable uploads" of Cloud
//! Storage, "images: insert" of Compute Engine, "Create custom images".

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailkiln_pin::Arch;
use ring::digest::{Context as Digest, SHA256};
use serde_json::{Value, json};

use crate::artifact::{Artifact, plain};
use crate::credentials::bearer::Bearer;
use crate::credentials::gcp::read;
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::{UploadError, presentable};
use crate::http::{Http, Request, Response, encode, query};
use crate::journal::Journal;
use crate::parts::{check, hex};
use crate::progress::Progress;
use crate::retry::dice;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "gcp",
    title: "Google Compute Engine: an image, through a bucket",
    formats: &["tar.gz"],
    settings: &[
        Setting::new(
            "project",
            &["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
            "the project [default: that of the credentials]",
        ),
        Setting::new("bucket", &[], "a bucket of Cloud Storage; it must be there"),
        Setting::new("region", &[], "where the image is kept [default: the nearest multi-region]"),
        Setting::new("endpoint", &[], "address of Compute Engine")
            .or("https://compute.googleapis.com"),
        Setting::new("storage-endpoint", &["STORAGE_EMULATOR_HOST"], "address of Cloud Storage")
            .or("https://storage.googleapis.com"),
        Setting::new("chunk-mib", &[], "size of a piece in MiB").or("16"),
    ],
    next: include_str!("../../next/gcp.hbs"),
    facts: &["project"],
    open,
};

/// Minutes that making an image may take.
const PATIENCE: u64 = 60;
/// What the image can do ("Guest OS features").
const FEATURES: &[&str] = &["UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC", "IDPF"];
/// What only x86 has.
const FEATURES_X86: &[&str] =
    &["SEV_CAPABLE", "SEV_SNP_CAPABLE", "SEV_LIVE_MIGRATABLE_V2", "TDX_CAPABLE"];

struct Gcp {
    http: Http,
    bearer: Bearer,
    project: String,
    bucket: String,
    region: Option<String>,
    compute: String,
    storage: String,
    chunk: u64,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let (bearer, own) = read(settings)?;
    let project = match settings.get("project").or(own) {
        Some(project) => project,
        None => settings.require("project")?,
    };
    Ok(Box::new(Gcp {
        http: context.http.clone(),
        bearer,
        project,
        bucket: settings.require("bucket")?,
        region: settings.get("region"),
        compute: settings.address("endpoint")?.unwrap_or_default(),
        storage: settings.address("storage-endpoint")?.unwrap_or_default(),
        chunk: settings.number("chunk-mib", 1, 1024)? << 20,
    }))
}

impl Gcp {
    fn object(artifact: &Artifact) -> String {
        format!("{}.tar.gz", artifact.remote_name())
    }

    fn images(&self) -> String {
        format!("{}/compute/v1/projects/{}/global/images", self.compute, encode(&self.project))
    }

    fn call(&self, what: &str, request: &Request) -> Result<Option<Value>, UploadError> {
        let response = self.bearer.send(&self.http, what, request)?;
        match response.status {
            404 => Ok(None),
            200..=299 if response.body.is_empty() => Ok(Some(Value::Null)),
            _ => response.success(what)?.json(what).map(Some),
        }
    }

    /// Waits for an operation of Compute Engine.
    fn finish(
        &self,
        what: &str,
        operation: &Value,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let name = operation["name"].as_str().unwrap_or_default();
        let url = format!(
            "{}/compute/v1/projects/{}/global/operations/{}",
            self.compute,
            encode(&self.project),
            encode(name)
        );
        self.http.wait(what, PATIENCE, progress, || {
            let now = self.call(what, &Request::new("GET", &url))?.unwrap_or_default();
            if now["status"] != "DONE" {
                return Ok(None);
            }
            let errors = now["error"]["errors"].as_array().cloned().unwrap_or_default();
            match errors.first() {
                None => Ok(Some(())),
                Some(error) => Err(UploadError::Failed {
                    what: what.to_owned(),
                    message: presentable(error["message"].as_str().unwrap_or("no reason given")),
                }),
            }
        })
    }

    /// The object's checksum, if it is there whole.
    fn uploaded(&self, object: &str) -> Result<Option<Value>, UploadError> {
        let url =
            format!("{}/storage/v1/b/{}/o/{}", self.storage, encode(&self.bucket), encode(object));
        self.call("asking for the object", &Request::new("GET", url))
    }

    /// Begins a session; its address stands for the right to write this object.
    fn session(&self, artifact: &Artifact, object: &str) -> Result<String, UploadError> {
        let what = "beginning the upload";
        let fields = query(&[("uploadType", "resumable"), ("name", object)]);
        let url =
            format!("{}/upload/storage/v1/b/{}/o?{fields}", self.storage, encode(&self.bucket));
        let tags: BTreeMap<_, _> = artifact.tags().into_iter().collect();
        let request = Request::new("POST", url)
            .header("x-upload-content-type", "application/gzip")
            .header("x-upload-content-length", artifact.size.to_string())
            .json(&json!({"name": object, "metadata": tags}));
        let response = self.bearer.send(&self.http, what, &request)?.success(what)?;
        match response.header("location") {
            address if address.starts_with("https://") || address.starts_with(&self.storage) => {
                Ok(address.to_owned())
            }
            _ => Err(UploadError::answer(what, "it has no address for the upload")),
        }
    }

    /// Sends the rest of the object, piece by piece; after a failure asks how much has arrived.
    fn send(
        &self,
        artifact: &Artifact,
        session: &str,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let mut once = self.http.clone();
        once.patience.tries = 1;
        let total = artifact.size;
        progress.begin(total);
        let (mut told, mut failed) = (0, 0);
        let mut known: Option<u64> = None;
        loop {
            let outcome = match known {
                None => once.send("asking what has arrived", || {
                    let range = format!("bytes */{total}");
                    Ok(Request::new("PUT", session).header("content-range", range))
                }),
                Some(at) => {
                    let bytes = piece(artifact, at, self.chunk)?;
                    let end = at + bytes.len() as u64 - 1;
                    once.send("sending the object", || {
                        let range = format!("bytes {at}-{end}/{total}");
                        Ok(Request::new("PUT", session)
                            .header("content-range", range)
                            .bytes(bytes.clone()))
                    })
                }
            };
            match outcome {
                Ok(response) if response.is_success() => break,
                Ok(response) if response.status == 308 => {
                    let arrived = arrived(&response);
                    if known.is_none_or(|at| arrived > at) {
                        failed = 0;
                    }
                    if arrived >= told {
                        progress.advance(arrived - told);
                    } else {
                        progress.retract(told - arrived);
                    }
                    (told, known) = (arrived, Some(arrived.min(total - 1)));
                }
                Ok(response) => return Err(response.refused("sending the object")),
                Err(UploadError::Unreachable { what, reason, .. }) => {
                    failed += 1;
                    if failed >= self.http.patience.tries {
                        return Err(UploadError::Unreachable { what, tries: failed, reason });
                    }
                    thread::sleep(self.http.patience.pause(failed, dice(), None));
                    known = None;
                }
                Err(error) => return Err(error),
            }
        }
        progress.advance(total - told);
        progress.end();
        Ok(())
    }

    /// Uploads the object, in the session of the journal where that is still known.
    fn put_object(
        &self,
        artifact: &Artifact,
        object: &str,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let sum = checksum(artifact)?;
        journal.note("object", object)?;
        let mut begun = false;
        loop {
            let session = match journal.value("session") {
                Some(session) => session,
                None => {
                    let session = self.session(artifact, object)?;
                    begun = true;
                    journal.note("session", &session)?;
                    session
                }
            };
            match self.send(artifact, &session, progress) {
                // The session of a journal may be a week old, and gone.
                Err(UploadError::Refused { status: 400..=499, .. }) if !begun => {
                    journal.forget()?;
                    journal.note("object", object)?;
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        let what = "asking for the object";
        let found = self.uploaded(object)?;
        let found = found.ok_or_else(|| UploadError::answer(what, "it is not there"))?;
        let theirs = found["crc32c"].as_str().unwrap_or_default();
        if theirs.trim_end_matches('=') != sum.trim_end_matches('=') {
            return Err(UploadError::Corrupt {
                what: "the object".to_owned(),
                sent: sum,
                found: theirs.to_owned(),
            });
        }
        journal.note("sent", "yes")
    }

    fn delete_object(&self, object: &str) -> Result<(), UploadError> {
        let url =
            format!("{}/storage/v1/b/{}/o/{}", self.storage, encode(&self.bucket), encode(object));
        self.call("removing the object", &Request::new("DELETE", url)).map(drop)
    }

    fn insert(
        &self,
        artifact: &Artifact,
        object: &str,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let what = "making the image";
        let arm = artifact.arch == Arch::Aarch64;
        let features: Vec<Value> = FEATURES
            .iter()
            .chain(FEATURES_X86.iter().filter(|_| !arm))
            .map(|feature| json!({"type": feature}))
            .collect();
        let mut body = json!({
            "name": artifact.remote_name(),
            "description": artifact.description(),
            "architecture": if arm { "ARM64" } else { "X86_64" },
            "guestOsFeatures": features,
            "labels": labels(artifact),
            "rawDisk": {"source": format!("https://storage.googleapis.com/{}/{object}", self.bucket)},
        });
        if let Some(region) = &self.region {
            body["storageLocations"] = json!([region]);
        }
        let request = Request::new("POST", self.images()).json(&body);
        let response = self.bearer.send(&self.http, what, &request)?;
        // 409: a first try whose answer was lost.
        if response.status == 409 {
            return Ok(());
        }
        let operation = response.success(what)?.json(what)?;
        self.finish(what, &operation, progress)
    }

    fn image(&self, name: &str) -> Result<Option<Value>, UploadError> {
        let url = format!("{}/{}", self.images(), encode(name));
        self.call("looking for the image", &Request::new("GET", url))
    }
}

/// How many bytes have arrived, from `Range: bytes=0-41`.
fn arrived(response: &Response) -> u64 {
    let last = response.header("range").rsplit('-').next().and_then(|it| it.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}

fn piece(artifact: &Artifact, at: u64, length: u64) -> Result<bytes::Bytes, UploadError> {
    let path = &artifact.path;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.take(length).read_to_end(&mut bytes)
        })
        .map_err(UploadError::file("read", path))?;
    Ok(bytes.into())
}

/// CRC32C of the file in base64, big-endian, as Cloud Storage writes it; the digest is checked on the way.
fn checksum(artifact: &Artifact) -> Result<String, UploadError> {
    let path = &artifact.path;
    let mut file = File::open(path).map_err(UploadError::file("read", path))?;
    let (mut own, mut theirs, mut buffer) = (Digest::new(&SHA256), 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer).map_err(UploadError::file("read", path))?;
        if count == 0 {
            break;
        }
        own.update(&buffer[..count]);
        theirs = crc32c::crc32c_append(theirs, &buffer[..count]);
    }
    check(artifact, &hex(own.finish().as_ref()))?;
    Ok(BASE64.encode(theirs.to_be_bytes()))
}

/// Labels: lower-case letters, digits, `-` and `_`, at most 63 characters.
fn labels(artifact: &Artifact) -> BTreeMap<&'static str, String> {
    let mut labels: BTreeMap<_, _> =
        artifact.tags().into_iter().map(|(key, value)| (key, label(&value))).collect();
    labels.insert("mailkiln-name", label(&plain(&artifact.name)));
    labels
}

fn label(text: &str) -> String {
    let allowed = |it: char| match it.to_ascii_lowercase() {
        it if it.is_ascii_alphanumeric() => it,
        _ => '-',
    };
    text.chars().map(allowed).take(63).collect()
}

fn stored(image: &Value) -> Stored {
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    Stored { id: text("name"), name: text("name"), created: text("creationTimestamp") }
}

impl Destination for Gcp {
    fn place(&self) -> String {
        format!("project {} by {}, bucket {}", self.project, self.compute, self.bucket)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        let object = Self::object(artifact);
        vec![
            format!("send {} bytes to gs://{}/{object}", artifact.size, self.bucket),
            format!("make the image {} in project {}", artifact.remote_name(), self.project),
            "remove the object".to_owned(),
        ]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let image = self.image(&artifact.remote_name())?;
        Ok(image.filter(|image| image["status"] == "READY").map(|image| stored(&image)))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let object = Self::object(artifact);
        if journal.value("sent").is_none() {
            self.put_object(artifact, &object, journal, progress)?;
        }
        progress.step("making the image");
        journal.note("image", &artifact.remote_name())?;
        self.insert(artifact, &object, progress)?;
        self.http.wait("the image is ready", PATIENCE, progress, || {
            let image = self.image(&artifact.remote_name())?;
            match image.as_ref().and_then(|image| image["status"].as_str()) {
                Some("READY") => Ok(image.as_ref().map(stored)),
                Some("FAILED") => Err(UploadError::Failed {
                    what: "making the image".to_owned(),
                    message: "its status is FAILED".to_owned(),
                }),
                _ => Ok(None),
            }
        })
    }

    fn tidy(&self, journal: &Journal) -> Result<(), UploadError> {
        journal.value("object").map_or(Ok(()), |object| self.delete_object(&object))
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        if let Some(image) = journal.value("image") {
            let url = format!("{}/{}", self.images(), encode(&image));
            self.call("removing the image", &Request::new("DELETE", url))?;
        }
        if journal.value("sent").is_none()
            && let Some(session) = journal.value("session")
        {
            // "Cancel an upload": 499 where it worked, and nothing is lost where it did not: a session ends by itself.
            let _ =
                self.http.send("cancelling the upload", || Ok(Request::new("DELETE", &session)));
        }
        self.tidy(journal)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let what = "listing images";
        let filter = format!("labels.mailkiln-name={}", label(&plain(name)));
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let fields = query(&[("filter", &filter), ("pageToken", &token)]);
            let url = format!("{}?{fields}", self.images());
            let page = self.call(what, &Request::new("GET", url))?.unwrap_or_default();
            found.extend(page["items"].as_array().into_iter().flatten().map(stored));
            match page["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => break,
            }
        }
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        let url = format!("{}/{}", self.images(), encode(&stored.id));
        self.call("removing an image", &Request::new("DELETE", url)).map(drop)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("project", self.project.clone()), ("bucket", self.bucket.clone())])
    }
}
