//! Proxmox VE: a disk image in a storage that holds imports.
//!
//! In: a qcow2, raw disk or VMDK. Out: a volume that machines are made from. Proxmox compares the SHA-256 when the upload has
//! ended. It has no ranges: a broken upload begins again. Source: "Proxmox VE API", `POST /nodes/{node}/storage/{storage}/upload`
//! (content type `import`, from version 8.4 on).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::bucket::is_version_of;
use super::openstack::random_uuid;
use crate::artifact::{Artifact, plain};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::{UploadError, presentable};
use crate::http::{Body, Http, Request, encode, encode_path};
use crate::journal::Journal;
use crate::parts::check;
use crate::progress::Progress;
use crate::settings::Setting;
use crate::sign::file::sha256;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "proxmox",
    title: "Proxmox VE: a disk in a storage for imports",
    formats: &["qcow2", "qcow2-zlib", "qcow2-zstd", "img", "vmdk"],
    settings: &[
        Setting::new(
            "endpoint",
            &["PROXMOX_VE_ENDPOINT"],
            "address of the host, as https://pve.example.org:8006",
        ),
        Setting::new("node", &["PROXMOX_VE_NODE"], "the node"),
        Setting::new("storage", &[], "a storage with the content type Import").or("local"),
        Setting::new("content", &[], "the content type of the upload").or("import"),
    ],
    next: include_str!("../../next/proxmox.hbs"),
    facts: &["node", "storage"],
    open,
};

/// Minutes that a task may take.
const PATIENCE: u64 = 60;

struct Proxmox {
    http: Http,
    api: String,
    token: String,
    node: String,
    storage: String,
    content: String,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let endpoint = match settings.address("endpoint")? {
        Some(endpoint) => endpoint,
        None => settings.require("endpoint")?,
    };
    let token = settings.surroundings.variable("PROXMOX_VE_API_TOKEN");
    let token = token.ok_or_else(|| UploadError::NoCredentials {
        destination: "proxmox",
        tried: vec!["PROXMOX_VE_API_TOKEN".to_owned()],
        hint: "run `pveum user token add USER@pve mailkiln` on the host and set \
               PROXMOX_VE_API_TOKEN=USER@pve!mailkiln=SECRET"
            .to_owned(),
    })?;
    Ok(Box::new(Proxmox {
        http: context.http.clone(),
        api: format!("{}/api2/json", endpoint.trim_end_matches("/api2/json")),
        token: token.to_owned(),
        node: settings.require("node")?,
        storage: settings.require("storage")?,
        content: settings.require("content")?,
    }))
}

impl Proxmox {
    fn request(&self, method: &'static str, path: &str) -> Request {
        Request::new(method, format!("{}{path}", self.api))
            .header("authorization", format!("PVEAPIToken={}", self.token))
    }

    fn of_storage(&self, path: &str) -> String {
        format!("/nodes/{}/storage/{}{path}", encode(&self.node), encode(&self.storage))
    }

    /// The name of the file in the storage; Proxmox tells raw disks by `.raw` among imports.
    fn file(&self, artifact: &Artifact) -> String {
        let ending = match artifact.format {
            "img" if self.content == "import" => "raw",
            "img" => "img",
            "vmdk" => "vmdk",
            _ => "qcow2",
        };
        format!("{}.{ending}", artifact.remote_name())
    }

    fn volumes(&self) -> Result<Vec<Value>, UploadError> {
        let what = "listing the storage";
        let path = self.of_storage(&format!("/content?content={}", encode(&self.content)));
        let answer = self.http.fetch(what, self.request("GET", &path))?.json(what)?;
        Ok(answer["data"].as_array().cloned().unwrap_or_default())
    }

    /// Waits for a task by the identifier that an answer has.
    fn finish(&self, what: &str, task: &Value, progress: &dyn Progress) -> Result<(), UploadError> {
        let Some(task) = task.as_str().filter(|it| it.starts_with("UPID:")) else {
            return Err(UploadError::answer(what, "it has no task"));
        };
        let path = format!("/nodes/{}/tasks/{}/status", encode(&self.node), encode(task));
        self.http.wait(what, PATIENCE, progress, || {
            let answer = self.http.fetch(what, self.request("GET", &path))?.json(what)?;
            match (answer["data"]["status"].as_str(), answer["data"]["exitstatus"].as_str()) {
                (Some("stopped"), Some("OK")) => Ok(Some(())),
                (Some("stopped"), status) => Err(UploadError::Failed {
                    what: what.to_owned(),
                    message: presentable(status.unwrap_or("no reason given")),
                }),
                _ => Ok(None),
            }
        })
    }

    /// The form with the file in it (RFC 7578).
    fn form(&self, artifact: &Artifact, boundary: &str) -> Body {
        let mut head = String::new();
        for (name, value) in [
            ("content", self.content.as_str()),
            ("checksum-algorithm", "sha256"),
            ("checksum", &artifact.sha256.to_string()),
        ] {
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.file(artifact)
        ));
        Body::File {
            path: artifact.path.clone(),
            offset: 0,
            length: artifact.size,
            head: head.into(),
            tail: format!("\r\n--{boundary}--\r\n").into(),
            sent: Arc::new(|_| {}),
        }
    }
}

fn stored(volume: &Value) -> Stored {
    let id = volume["volid"].as_str().unwrap_or_default();
    let created = volume["ctime"].as_i64().unwrap_or_default();
    Stored {
        id: id.to_owned(),
        name: id.rsplit('/').next().unwrap_or_default().to_owned(),
        created: format!("{created:012}"),
    }
}

impl Destination for Proxmox {
    fn place(&self) -> String {
        format!("storage {} of node {} by {}", self.storage, self.node, self.api)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![format!(
            "send {} bytes to {}:{}/{}; Proxmox compares the SHA-256",
            artifact.size,
            self.storage,
            self.content,
            self.file(artifact)
        )]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        // Proxmox shows a volume only when it is whole: it is moved there after the comparison.
        let name = self.file(artifact);
        Ok(self.volumes()?.iter().map(stored).find(|it| it.name == name))
    }

    fn put(
        &self,
        artifact: &Artifact,
        _journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        check(artifact, &sha256(&artifact.path)?)?;
        let what = "sending the disk";
        progress.step(&format!("{what}: {} MB", artifact.size / 1_000_000));
        let boundary = format!("mailkiln-{}", random_uuid()?);
        let kind = format!("multipart/form-data; boundary={boundary}");
        let response = self.http.send(what, || {
            let mut request =
                self.request("POST", &self.of_storage("/upload")).header("content-type", &kind);
            request.body = self.form(artifact, &boundary);
            Ok(request)
        })?;
        // A first try whose answer was lost has brought it there, and Proxmox does not replace files.
        if !response.is_success()
            && let Some(stored) = self.find(artifact)?
        {
            return Ok(stored);
        }
        let answer = response.success(what)?.json(what)?;
        self.finish("Proxmox checks the upload", &answer["data"], progress)?;
        self.find(artifact)?
            .ok_or_else(|| UploadError::answer(what, "the storage does not list it"))
    }

    fn clean(&self, _journal: &Journal) -> Result<(), UploadError> {
        // What arrives in part is in a temporary file of the host, which the host removes.
        Ok(())
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let prefix = format!("{}-", plain(name));
        let mut found: Vec<Stored> = self
            .volumes()?
            .iter()
            .map(stored)
            .filter(|it| is_version_of(it.name.strip_prefix(&prefix).unwrap_or_default()))
            .collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        let what = "removing a disk";
        let path = self.of_storage(&format!("/content/{}", encode_path(&stored.id)));
        self.http.fetch(what, self.request("DELETE", &path)).map(drop)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("node", self.node.clone()), ("storage", self.storage.clone())])
    }
}
