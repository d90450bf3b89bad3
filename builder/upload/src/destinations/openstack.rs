//! An OpenStack cloud: Keystone v3 for a token, Glance v2 for the image.
//!
//! In: a qcow2 or raw image. Out: an image with hardware properties and tags. Glance has no ranges: a broken upload begins
//! again, in the same record. It computes SHA-512 of what arrives, which is compared. Source: "Image Service API v2", "Glance:
//! useful image properties".

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mailkiln_pin::Arch;
use ring::digest::{Context as Digest, SHA256, SHA512};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use crate::artifact::{Artifact, plain};
use crate::credentials::openstack::{Identity, read};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::http::{Body, Http, Request, Response, query};
use crate::journal::Journal;
use crate::parts::{check, hex};
use crate::progress::Progress;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "openstack",
    title: "an OpenStack cloud (Keystone v3, Glance v2)",
    formats: &["qcow2", "qcow2-zlib", "img"],
    settings: &[
        Setting::new("cloud", &["OS_CLOUD"], "name of the cloud in clouds.yaml"),
        Setting::new("region", &["OS_REGION_NAME"], "its region [default: any]"),
        Setting::new(
            "endpoint",
            &["OS_IMAGE_ENDPOINT_OVERRIDE"],
            "Glance's address [default: the catalog's]",
        ),
        Setting::new("visibility", &[], "private, shared, community or public").or("private"),
        Setting::new("store", &[], "the store that keeps it, where Glance has several"),
    ],
    next: include_str!("../../next/openstack.hbs"),
    facts: &[],
    open,
};

/// Minutes that Glance may take after the last byte.
const PATIENCE: u64 = 30;

struct OpenStack {
    http: Http,
    identity: Identity,
    endpoint: Option<String>,
    visibility: String,
    store: Option<String>,
    session: Mutex<Option<Session>>,
}

/// A token and Glance's address.
#[derive(Clone)]
struct Session {
    token: String,
    glance: String,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    Ok(Box::new(OpenStack {
        http: context.http.clone(),
        identity: read(settings)?,
        endpoint: settings.address("endpoint")?,
        visibility: settings.require("visibility")?,
        store: settings.get("store"),
        session: Mutex::new(None),
    }))
}

impl OpenStack {
    /// The session, begun when it is first needed.
    fn session(&self) -> Result<Session, UploadError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let what = "signing in at Keystone";
        let url = format!("{}/auth/tokens", self.identity.auth_url);
        let response =
            self.http.fetch(what, Request::new("POST", url).json(&self.identity.body))?;
        let token = response.header("x-subject-token").to_owned();
        if token.is_empty() {
            return Err(UploadError::answer(what, "it has no token"));
        }
        let glance = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.glance(&response.json(what)?)?,
        };
        let glance = glance.trim_end_matches('/');
        let glance = glance.strip_suffix("/v2").unwrap_or(glance).to_owned();
        Ok(session.insert(Session { token, glance }).clone())
    }

    /// Glance's address in the catalog that came with the token.
    fn glance(&self, answer: &Value) -> Result<String, UploadError> {
        let Identity { region, interface, .. } = &self.identity;
        let services = answer["token"]["catalog"].as_array().cloned().unwrap_or_default();
        let endpoints: Vec<&Value> = services
            .iter()
            .filter(|service| service["type"] == "image")
            .filter_map(|service| service["endpoints"].as_array())
            .flatten()
            .filter(|endpoint| endpoint["interface"] == interface.trim_end_matches("URL"))
            .collect();
        let is_there = |endpoint: &&&Value| match region {
            Some(region) => {
                [&endpoint["region_id"], &endpoint["region"]].iter().any(|it| *it == region)
            }
            None => true,
        };
        if let Some(url) = endpoints.iter().find(is_there).and_then(|it| it["url"].as_str()) {
            return Ok(url.to_owned());
        }
        let mut regions: Vec<&str> =
            endpoints.iter().filter_map(|it| it["region_id"].as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        Err(UploadError::Setting {
            message: format!(
                "the cloud has no image service{}",
                region.as_ref().map_or(String::new(), |it| format!(" in region `{it}`"))
            ),
            hint: match regions.is_empty() {
                true => "pass Glance's address with `--endpoint`".to_owned(),
                false => format!("pass `--region` with one of {}", regions.join(", ")),
            },
        })
    }

    /// Asks Glance; signs in again, once, where the token has expired.
    fn ask(&self, what: &str, make: &dyn Fn(&str) -> Request) -> Result<Response, UploadError> {
        let mut renewed = false;
        loop {
            let session = self.session()?;
            let response = self
                .http
                .send(what, || Ok(make(&session.glance).header("x-auth-token", &session.token)))?;
            if response.status != 401 || renewed {
                return Ok(response);
            }
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
            renewed = true;
        }
    }

    fn image(&self, id: &str) -> Result<Option<Value>, UploadError> {
        let what = "asking for the image";
        let response =
            self.ask(what, &|glance| Request::new("GET", format!("{glance}/v2/images/{id}")))?;
        match response.status {
            404 => Ok(None),
            _ => response.success(what)?.json(what).map(Some),
        }
    }

    /// Returns true if Glance has the image's bytes, and false too if it does not say.
    fn is_whole(&self, id: &str) -> bool {
        matches!(self.image(id), Ok(Some(image)) if image["status"] == "active")
    }

    /// Images by a property, the newest first.
    fn search(&self, property: &str, value: &str) -> Result<Vec<Value>, UploadError> {
        let what = "looking for images";
        let fields = query(&[(property, value), ("sort", "created_at:desc"), ("limit", "100")]);
        let mut path = format!("/v2/images?{fields}");
        let mut images = Vec::new();
        loop {
            let response =
                self.ask(what, &|glance| Request::new("GET", format!("{glance}{path}")))?;
            let page = response.success(what)?.json(what)?;
            images.extend(page["images"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) if next.starts_with("/v2/") && next != path => path = next.to_owned(),
                _ => return Ok(images),
            }
        }
    }

    fn create(&self, artifact: &Artifact, id: &str) -> Result<(), UploadError> {
        let what = "creating the image";
        let mut body = json!({
            "id": id,
            "name": artifact.remote_name(),
            "container_format": "bare",
            "disk_format": if artifact.format == "img" { "raw" } else { "qcow2" },
            "min_disk": artifact.disk_gib(),
            "visibility": self.visibility,
            "architecture": artifact.arch.gnu(),
            "hw_disk_bus": "scsi",
            "hw_scsi_model": "virtio-scsi",
            "hw_vif_model": "virtio",
            "hw_rng_model": "virtio",
            "os_type": "linux",
            "os_distro": "debian",
            "description": artifact.description(),
        });
        // ARM machines have no BIOS; on x86 the image starts under both, and BIOS is what clouds default to.
        if artifact.arch == Arch::Aarch64 {
            body["hw_firmware_type"] = json!("uefi");
            body["hw_machine_type"] = json!("virt");
        }
        for (key, value) in artifact.tags() {
            body[key.replace('-', "_")] = json!(value);
        }
        let response = self
            .ask(what, &|glance| Request::new("POST", format!("{glance}/v2/images")).json(&body))?;
        // 409: a first try whose answer was lost has made it, under the identifier of our journal.
        if response.status == 409 && self.image(id)?.is_some() {
            return Ok(());
        }
        response.success(what).map(drop)
    }

    /// Sends the bytes; returns their SHA-512.
    fn send(
        &self,
        artifact: &Artifact,
        id: &str,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let what = "sending the image";
        progress.begin(artifact.size);
        let done = std::thread::scope(|scope| {
            let counted = Arc::new(AtomicU64::new(0));
            let (ended, end) = std::sync::mpsc::channel::<()>();
            let seen = Arc::clone(&counted);
            // The client reads the file on a thread of its own, which can't borrow the progress.
            scope.spawn(move || {
                let mut told = 0;
                loop {
                    let last = end.recv_timeout(Duration::from_millis(100)).is_ok();
                    let now = seen.load(Ordering::Relaxed);
                    match now.checked_sub(told) {
                        Some(more) => progress.advance(more),
                        None => progress.retract(told - now),
                    }
                    told = now;
                    if last {
                        return;
                    }
                }
            });
            let tries = AtomicU32::new(0);
            let response = self.ask(what, &|glance| {
                // Glance closes the connection on a second body. Where the answer to the first was lost, the image is there.
                if tries.fetch_add(1, Ordering::Relaxed) > 0 && self.is_whole(id) {
                    return Request::new("GET", format!("{glance}/v2/images/{id}"));
                }
                counted.store(0, Ordering::Relaxed);
                let counter = Arc::clone(&counted);
                let mut request = Request::new("PUT", format!("{glance}/v2/images/{id}/file"))
                    .header("content-type", "application/octet-stream");
                if let Some(store) = &self.store {
                    request = request.header("x-image-meta-store", store);
                }
                request.body = Body::File {
                    path: artifact.path.clone(),
                    offset: 0,
                    length: artifact.size,
                    head: Bytes::new(),
                    tail: Bytes::new(),
                    sent: Arc::new(move |bytes| {
                        counter.fetch_add(bytes, Ordering::Relaxed);
                    }),
                };
                request
            });
            let _ = ended.send(());
            response
        });
        progress.end();
        let response = done?;
        // 409: the bytes are there already, as the answer to a first try was lost; the digest decides.
        if response.status == 409 {
            return Ok(());
        }
        response.success(what).map(drop)
    }

    fn delete(&self, id: &str) -> Result<(), UploadError> {
        let what = "removing an image";
        let response =
            self.ask(what, &|glance| Request::new("DELETE", format!("{glance}/v2/images/{id}")))?;
        if response.status == 404 { Ok(()) } else { response.success(what).map(drop) }
    }

    /// The record to fill: that of the journal where Glance still waits for its bytes, else a new one.
    fn record(&self, artifact: &Artifact, journal: &Journal) -> Result<String, UploadError> {
        if let Some(id) = journal.value("image") {
            match self.image(&id)? {
                Some(image) if image["status"] == "queued" || image["status"] == "active" => {
                    return Ok(id);
                }
                Some(_) => self.delete(&id)?,
                None => {}
            }
            journal.forget()?;
        }
        let id = random_uuid()?;
        journal.note("image", &id)?;
        self.create(artifact, &id)?;
        Ok(id)
    }
}

impl Destination for OpenStack {
    fn place(&self) -> String {
        let region = self.identity.region.as_deref().unwrap_or("any region");
        format!("{} of {} ({region})", self.identity.label, self.identity.auth_url)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![
            format!("sign in at {}", self.identity.auth_url),
            format!(
                "create the {} image {} for {}",
                self.visibility,
                artifact.remote_name(),
                artifact.arch
            ),
            format!("send {} bytes and compare Glance's SHA-512", artifact.size),
        ]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let found = self.search("mailkiln_sha256", &artifact.sha256.to_string())?;
        Ok(found.iter().find(|image| image["status"] == "active").map(stored))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let sent = checksum(artifact)?;
        let id = self.record(artifact, journal)?;
        if self.image(&id)?.is_none_or(|image| image["status"] != "active") {
            self.send(artifact, &id, progress)?;
        }
        let image = self.http.wait("Glance's checks", PATIENCE, progress, || {
            let image = self.image(&id)?;
            let image = image.ok_or_else(|| UploadError::Failed {
                what: "the image".to_owned(),
                message: "it is gone".to_owned(),
            })?;
            match image["status"].as_str().unwrap_or_default() {
                "active" => Ok(Some(image)),
                "queued" | "saving" | "uploading" | "importing" => Ok(None),
                status => Err(UploadError::Failed {
                    what: "the image".to_owned(),
                    message: format!("its status is {status}"),
                }),
            }
        })?;
        let corrupt = |found: &str, sent: String| UploadError::Corrupt {
            what: "the image".to_owned(),
            sent,
            found: found.to_owned(),
        };
        if image["size"] != json!(artifact.size) {
            return Err(corrupt(&image["size"].to_string(), artifact.size.to_string()));
        }
        match (image["os_hash_algo"].as_str(), image["os_hash_value"].as_str()) {
            (Some("sha512"), Some(found)) if found != sent => Err(corrupt(found, sent)),
            (Some("sha256"), Some(found)) if found != artifact.sha256.to_string() => {
                Err(corrupt(found, artifact.sha256.to_string()))
            }
            _ => Ok(stored(&image)),
        }
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        journal.value("image").map_or(Ok(()), |id| self.delete(&id))
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let mut found: Vec<Stored> = self
            .search("os_distro", "debian")?
            .iter()
            .filter(|image| {
                image["mailkiln_name"].as_str().is_some_and(|it| plain(it) == plain(name))
            })
            .map(stored)
            .collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.id.cmp(&one.id)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        self.delete(&stored.id)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        let region = self.identity.region.clone().unwrap_or_default();
        BTreeMap::from([("region", region), ("auth_url", self.identity.auth_url.clone())])
    }
}

fn stored(image: &Value) -> Stored {
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    Stored { id: text("id"), name: text("name"), created: text("created_at") }
}

/// SHA-512 of the file, which is read once for it and for its own digest.
fn checksum(artifact: &Artifact) -> Result<String, UploadError> {
    use std::io::Read as _;
    let path = &artifact.path;
    let mut file = std::fs::File::open(path).map_err(UploadError::file("read", path))?;
    let (mut own, mut theirs) = (Digest::new(&SHA256), Digest::new(&SHA512));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(UploadError::file("read", path))?;
        if count == 0 {
            break;
        }
        own.update(&buffer[..count]);
        theirs.update(&buffer[..count]);
    }
    check(artifact, &hex(own.finish().as_ref()))?;
    Ok(hex(theirs.finish().as_ref()))
}

/// A random UUID (RFC 9562 §5.4).
pub fn random_uuid() -> Result<String, UploadError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| UploadError::Program {
        program: "the kernel".to_owned(),
        reason: "it gives no random numbers".to_owned(),
        passes: true,
    })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    ))
}
