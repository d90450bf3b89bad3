//! Azure: a page blob, made a version of an image in a Compute Gallery.
//!
//! In: a fixed VHD. Out: an image version; the blob is removed. Pages go several at once, each with its MD5, which the service
//! checks; pages of zeros are not sent. Without a gallery the blob stays and is the result. Sources: "Blob service
//! REST API" (Put Blob, Put Page), "Compute REST API" (Gallery Image Versions), "Upload a VHD to Azure".

mod gallery;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde_json::json;

use self::gallery::{Gallery, gallery, stored};
use super::bucket::element;
use crate::artifact::{Artifact, plain};
use crate::credentials::azure::bearer;
use crate::credentials::bearer::Bearer;
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::http::{Body, Http, Request, Response, encode};
use crate::journal::Journal;
use crate::parts::{Part, send_parts};
use crate::progress::Progress;
use crate::settings::Setting;
use crate::sign::azure::sign;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "azure",
    title: "Azure: an image version of a Compute Gallery, through a page blob",
    formats: &["vhd"],
    settings: &[
        Setting::new("account", &["AZURE_STORAGE_ACCOUNT"], "the storage account"),
        Setting::new("container", &[], "the container; it must be there").or("images"),
        Setting::new("subscription", &["AZURE_SUBSCRIPTION_ID"], "the subscription"),
        Setting::new(
            "resource-group",
            &["AZURE_DEFAULTS_GROUP"],
            "the resource group of account and gallery",
        ),
        Setting::new("gallery", &[], "the Compute Gallery; without one, the blob is the result"),
        Setting::new(
            "region",
            &["AZURE_DEFAULTS_LOCATION"],
            "region of the image version, as westeurope",
        ),
        Setting::new("endpoint", &[], "address of the blob service [default: that of the account]"),
        Setting::new("management-endpoint", &["ARM_ENDPOINT"], "address of Resource Manager")
            .or("https://management.azure.com"),
    ],
    next: include_str!("../../next/azure.hbs"),
    facts: &["group", "region"],
    open,
};

/// Bytes of a request ("Put Page": at most 4 MiB).
const PAGES: u64 = 4 << 20;
/// Version of the blob service.
const BLOB_VERSION: &str = "2021-08-06";
/// Bytes of the footer of a VHD behind its whole MiB.
const FOOTER: u64 = 512;

struct Azure {
    http: Http,
    account: String,
    container: String,
    blobs: String,
    /// The account's key; without one, a token is used.
    key: Option<Vec<u8>>,
    storage_bearer: Bearer,
    gallery: Option<Gallery>,
    threads: usize,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let account = settings.require("account")?;
    let key = match settings.surroundings.variable("AZURE_STORAGE_KEY") {
        None => None,
        Some(key) => Some(BASE64.decode(key).map_err(|_| UploadError::BadCredentials {
            from: "AZURE_STORAGE_KEY".to_owned(),
            reason: "it is not base64".to_owned(),
            hint: "`az storage account keys list` prints it".to_owned(),
        })?),
    };
    let blobs = match settings.address("endpoint")? {
        Some(endpoint) => endpoint,
        None => format!("https://{account}.blob.core.windows.net"),
    };
    Ok(Box::new(Azure {
        http: context.http.clone(),
        storage_bearer: bearer(settings, "https://storage.azure.com/"),
        gallery: gallery(settings)?,
        container: settings.require("container")?,
        threads: context.threads,
        account,
        blobs,
        key,
    }))
}

impl Azure {
    fn blob(artifact: &Artifact) -> String {
        format!("{}.vhd", artifact.remote_name())
    }

    fn url(&self, blob: &str) -> String {
        format!("{}/{}/{}", self.blobs, encode(&self.container), encode(blob))
    }

    /// Sends a request to the blob service, by key or token.
    fn send(&self, what: &str, request: &Request) -> Result<Response, UploadError> {
        let request = request.clone().header("x-ms-version", BLOB_VERSION);
        let Some(key) = &self.key else {
            return self.storage_bearer.send(&self.http, what, &request);
        };
        let length = match &request.body {
            Body::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.http.send(what, || {
            let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            Ok(sign(request.clone().header("x-ms-date", now), &self.account, key, length))
        })
    }

    fn refused(&self, what: &str, response: &Response) -> UploadError {
        let mut error = response.refused(what);
        if let UploadError::Refused { code, hint, .. } = &mut error {
            if code.is_empty() {
                response.header("x-ms-error-code").clone_into(code);
            }
            match code.as_str() {
                "ContainerNotFound" => {
                    *hint = Some(format!(
                        "az storage container create --account-name {} --name {}",
                        self.account, self.container
                    ));
                }
                "AuthorizationPermissionMismatch" => {
                    *hint = Some("assign the role Storage Blob Data Contributor".to_owned());
                }
                _ => {}
            }
        }
        error
    }

    /// When the blob was made whole, if it is there; its state is in its metadata.
    fn head(&self, artifact: &Artifact) -> Result<Option<Response>, UploadError> {
        let what = "looking for the blob";
        let response = self.send(what, &Request::new("HEAD", self.url(&Self::blob(artifact))))?;
        match response.status {
            404 => Ok(None),
            200 => {
                let same = response.header("x-ms-meta-mailkiln_sha256")
                    == artifact.sha256.to_string()
                    && response.header("content-length") == artifact.size.to_string();
                Ok(same.then_some(response))
            }
            _ => Err(self.refused(what, &response)),
        }
    }

    fn with_tags(mut request: Request, artifact: &Artifact, state: &str) -> Request {
        for (key, value) in artifact.tags() {
            request = request.header(&format!("x-ms-meta-{}", key.replace('-', "_")), value);
        }
        request.header("x-ms-meta-mailkiln_state", state)
    }

    fn create(&self, artifact: &Artifact) -> Result<(), UploadError> {
        let what = "making the blob";
        let request = Request::new("PUT", self.url(&Self::blob(artifact)))
            .header("x-ms-blob-type", "PageBlob")
            .header("x-ms-blob-content-length", artifact.size.to_string())
            .header("x-ms-blob-content-type", "application/octet-stream");
        let response = self.send(what, &Self::with_tags(request, artifact, "sending"))?;
        if response.is_success() { Ok(()) } else { Err(self.refused(what, &response)) }
    }

    fn put_pages(&self, artifact: &Artifact, part: Part) -> Result<String, UploadError> {
        let what = format!("sending pages at {}", part.offset);
        let sum = BASE64.encode(Md5::digest(&part.bytes));
        let end = part.offset + part.bytes.len() as u64 - 1;
        let request = Request::new("PUT", format!("{}?comp=page", self.url(&Self::blob(artifact))))
            .header("x-ms-page-write", "update")
            .header("x-ms-range", format!("bytes={}-{end}", part.offset))
            .header("content-md5", &sum)
            .bytes(part.bytes);
        let response = self.send(&what, &request)?;
        if !response.is_success() {
            return Err(self.refused(&what, &response));
        }
        let found = response.header("content-md5");
        if !found.is_empty() && found != sum {
            return Err(UploadError::Corrupt { what, sent: sum, found: found.to_owned() });
        }
        Ok(sum)
    }

    fn put_blob(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let blob = Self::blob(artifact);
        if self.head(artifact)?.is_none() {
            journal.forget()?;
            self.create(artifact)?;
        }
        journal.note("blob", &blob)?;
        let arrived = journal.parts();
        send_parts(
            artifact,
            PAGES,
            self.threads,
            progress,
            |index| !arrived.contains_key(&index),
            |part| {
                if part.is_zero() {
                    return Ok(());
                }
                let index = part.index;
                let sum = self.put_pages(artifact, part)?;
                journal.arrived(index, &sum)
            },
        )?;
        let what = "marking the blob as whole";
        let request = Request::new("PUT", format!("{}?comp=metadata", self.url(&blob)));
        let response = self.send(what, &Self::with_tags(request, artifact, "whole"))?;
        if response.is_success() { Ok(()) } else { Err(self.refused(what, &response)) }
    }

    fn delete_blob(&self, blob: &str) -> Result<(), UploadError> {
        let what = "removing the blob";
        let response = self.send(what, &Request::new("DELETE", self.url(blob)))?;
        match response.status {
            404 => Ok(()),
            _ if response.is_success() => Ok(()),
            _ => Err(self.refused(what, &response)),
        }
    }

    /// Blobs of this name, whole ones.
    fn blobs(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let what = "listing blobs";
        let prefix = format!("{}-", plain(name));
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let mut url = format!(
                "{}/{}?comp=list&prefix={prefix}&restype=container",
                self.blobs,
                encode(&self.container)
            );
            if !marker.is_empty() {
                url.push_str(&format!("&marker={marker}"));
            }
            let response = self.send(what, &Request::new("GET", url))?;
            if !response.is_success() {
                return Err(self.refused(what, &response));
            }
            let text = response.text();
            let text = text.trim_start_matches('\u{feff}');
            let document = roxmltree::Document::parse(text)
                .map_err(|error| UploadError::answer(what, error.to_string()))?;
            for blob in document.descendants().filter(|it| it.has_tag_name("Blob")) {
                let field = |name: &str| {
                    let node = blob.descendants().find(|it| it.has_tag_name(name));
                    node.and_then(|it| it.text()).unwrap_or_default().to_owned()
                };
                let key = field("Name");
                if super::bucket::is_version_of(key.strip_prefix(&prefix).unwrap_or_default()) {
                    let created = jiff::fmt::rfc2822::DateTimeParser::new()
                        .parse_timestamp(field("Creation-Time"))
                        .map(|it| it.to_string())
                        .unwrap_or_default();
                    found.push(Stored { id: self.url(&key), name: key, created });
                }
            }
            marker = element(text, "NextMarker").unwrap_or_default();
            if marker.is_empty() {
                return Ok(found);
            }
        }
    }
}

impl Destination for Azure {
    fn place(&self) -> String {
        let gallery = self.gallery.as_ref().map_or(String::new(), |gallery| {
            format!(", gallery {} in {}", gallery.name, gallery.group)
        });
        format!("{}/{}{gallery}", self.blobs, self.container)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        let mut steps = vec![format!(
            "send those pages of {} bytes that are not all zeros to {}",
            artifact.size,
            self.url(&Self::blob(artifact))
        )];
        if let Some(gallery) = &self.gallery {
            let (definition, version) =
                (gallery.definition(&artifact.name), Gallery::version(artifact));
            steps.push(format!("make version {version} of {definition} in {}", gallery.region));
            steps.push("remove the blob".to_owned());
        }
        steps
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let Some(gallery) = &self.gallery else {
            let whole = self.head(artifact)?;
            let whole = whole.filter(|it| it.header("x-ms-meta-mailkiln_state") == "whole");
            let blob = Self::blob(artifact);
            return Ok(whole.map(|_| Stored {
                id: self.url(&blob),
                name: blob,
                created: String::new(),
            }));
        };
        let path = format!(
            "{}/versions/{}",
            gallery.definition(&artifact.name),
            Gallery::version(artifact)
        );
        let found = gallery.call(&self.http, "looking for the image", "GET", &path, None)?;
        Ok(found
            .filter(|it| it["properties"]["provisioningState"] == "Succeeded")
            .filter(|it| it["tags"]["mailkiln-sha256"] == json!(artifact.sha256.to_string()))
            .map(|it| stored(&it)))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        if artifact.size % (1 << 20) != FOOTER {
            return Err(UploadError::Setting {
                message: format!(
                    "the disk in {} is not a whole number of MiB, which Azure demands",
                    artifact.path.display()
                ),
                hint: "build for a target `azure-…`".to_owned(),
            });
        }
        self.put_blob(artifact, journal, progress)?;
        let url = self.url(&Self::blob(artifact));
        match &self.gallery {
            None => Ok(Stored { id: url, name: Self::blob(artifact), created: String::new() }),
            Some(gallery) => {
                let path = format!(
                    "{}/versions/{}",
                    gallery.definition(&artifact.name),
                    Gallery::version(artifact)
                );
                journal.note("version", &path)?;
                gallery.publish(&self.http, artifact, &self.account, &url, progress)
            }
        }
    }

    fn tidy(&self, journal: &Journal) -> Result<(), UploadError> {
        match (&self.gallery, journal.value("blob")) {
            (Some(_), Some(blob)) => self.delete_blob(&blob),
            _ => Ok(()),
        }
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        if let (Some(gallery), Some(version)) = (&self.gallery, journal.value("version")) {
            gallery.call(&self.http, "removing the image version", "DELETE", &version, None)?;
        }
        journal.value("blob").map_or(Ok(()), |blob| self.delete_blob(&blob))
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let mut found = match &self.gallery {
            None => self.blobs(name)?,
            Some(gallery) => {
                let path = format!("{}/versions", gallery.definition(name));
                let page = gallery.call(&self.http, "listing versions", "GET", &path, None)?;
                page.unwrap_or_default()["value"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(stored)
                    .collect()
            }
        };
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        match &self.gallery {
            None => self.delete_blob(&stored.name),
            Some(gallery) => gallery
                .call(&self.http, "removing an image version", "DELETE", &stored.id, None)
                .map(drop),
        }
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        let group = self
            .gallery
            .as_ref()
            .map(|it| it.group.rsplit('/').next().unwrap_or_default().to_owned());
        let region = self.gallery.as_ref().map(|it| it.region.clone());
        BTreeMap::from([
            ("group", group.unwrap_or_else(|| "GROUP".to_owned())),
            ("region", region.unwrap_or_else(|| "REGION".to_owned())),
        ])
    }
}
