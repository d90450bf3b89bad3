//! Oracle Cloud: a custom image, through a bucket of Object Storage.
//!
//! In: an `.oci` archive (a qcow2 with its launch options). Out: a custom image; the object is removed. Parts go several at
//! once, each with its MD5, which the service checks. Sources: "Object Storage Service API", "Core Services API: Image".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::openstack::random_uuid;
use crate::artifact::{Artifact, plain};
use crate::credentials::oracle::{Identity, read};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::http::{Http, Request, Response, encode, query};
use crate::journal::Journal;
use crate::parts::{Part, send_parts};
use crate::progress::Progress;
use crate::settings::Setting;
use crate::sign::oracle::sign;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "oracle",
    title: "Oracle Cloud: a custom image, through a bucket",
    formats: &["oci", "qcow2"],
    settings: &[
        Setting::new("bucket", &[], "a bucket of Object Storage; it must be there"),
        Setting::new(
            "compartment",
            &["OCI_COMPARTMENT"],
            "OCID of the compartment [default: the tenancy]",
        ),
        Setting::new("region", &["OCI_CLI_REGION"], "the region [default: that of the profile]"),
        Setting::new("profile", &["OCI_CLI_PROFILE"], "profile of the OCI CLI").or("DEFAULT"),
        Setting::new(
            "endpoint",
            &[],
            "address of the compute service [default: that of the region]",
        ),
        Setting::new(
            "storage-endpoint",
            &[],
            "address of Object Storage [default: that of the region]",
        ),
        Setting::new("part-mib", &[], "size of a part in MiB").or("16"),
    ],
    next: include_str!("../../next/oracle.hbs"),
    facts: &["compartment", "region"],
    open,
};

/// Minutes that an import may take.
const PATIENCE: u64 = 120;
/// The shapes of ARM that an image has to be allowed for.
const ARM_SHAPES: &[&str] = &["VM.Standard.A1.Flex", "VM.Standard.A2.Flex"];

struct Oracle {
    http: Http,
    identity: Identity,
    compartment: String,
    region: String,
    bucket: String,
    compute: String,
    storage: String,
    part: u64,
    threads: usize,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let identity = read(settings)?;
    let region = match settings.get("region").or(identity.region.clone()) {
        Some(region) => region,
        None => settings.require("region")?,
    };
    let of = |key: &str, service: &str, top: &str| {
        let given = settings.address(key)?;
        Ok::<_, UploadError>(given.unwrap_or_else(|| format!("https://{service}.{region}.{top}")))
    };
    Ok(Box::new(Oracle {
        compute: of("endpoint", "iaas", "oraclecloud.com")?,
        storage: of("storage-endpoint", "objectstorage", "oraclecloud.com")?,
        http: context.http.clone(),
        compartment: settings.get("compartment").unwrap_or_else(|| identity.tenancy.clone()),
        identity,
        bucket: settings.require("bucket")?,
        part: settings.number("part-mib", 10, 1024)? << 20,
        threads: context.threads,
        region,
    }))
}

impl Oracle {
    fn object(artifact: &Artifact) -> String {
        format!("{}.{}", artifact.remote_name(), artifact.suffix)
    }

    fn send(
        &self,
        what: &str,
        request: &Request,
        is_object: bool,
    ) -> Result<Response, UploadError> {
        self.http.send(what, || {
            let Identity { key_id, key, .. } = &self.identity;
            sign(request.clone(), key_id, key, is_object, Timestamp::now())
                .map_err(|reason| UploadError::answer(what, reason))
        })
    }

    fn call(&self, what: &str, request: &Request) -> Result<Option<Value>, UploadError> {
        let response = self.send(what, request, false)?;
        if response.status == 404 && request.method != "POST" {
            return Ok(None);
        }
        let response = response.success(what)?;
        if response.body.is_empty() { Ok(Some(Value::Null)) } else { response.json(what).map(Some) }
    }

    fn namespace(&self) -> Result<String, UploadError> {
        let what = "asking for the namespace";
        let found = self.call(what, &Request::new("GET", format!("{}/n", self.storage)))?;
        let found = found.and_then(|it| it.as_str().map(str::to_owned));
        found.ok_or_else(|| UploadError::answer(what, "it has none"))
    }

    fn in_bucket(&self, namespace: &str, path: &str) -> String {
        format!("{}/n/{}/b/{}{path}", self.storage, encode(namespace), encode(&self.bucket))
    }

    /// Begins an upload, or takes up the one of the journal.
    fn begin(
        &self,
        artifact: &Artifact,
        namespace: &str,
        journal: &Journal,
    ) -> Result<String, UploadError> {
        let object = Self::object(artifact);
        if let Some(upload) = journal.value("upload") {
            let fields = query(&[("uploadId", &upload), ("limit", "1")]);
            let url = self.in_bucket(namespace, &format!("/u/{}?{fields}", encode(&object)));
            if self.call("asking what has arrived", &Request::new("GET", url))?.is_some() {
                return Ok(upload);
            }
            journal.forget()?;
        }
        let what = "beginning the upload";
        let metadata: BTreeMap<_, _> = artifact
            .tags()
            .into_iter()
            .map(|(key, value)| (format!("opc-meta-{key}"), value))
            .collect();
        let url = self.in_bucket(namespace, "/u");
        let request =
            Request::new("POST", url).json(&json!({"object": object, "metadata": metadata}));
        let answer = self.call(what, &request)?.unwrap_or_default();
        let upload = answer["uploadId"].as_str();
        let upload = upload.ok_or_else(|| UploadError::answer(what, "it has no uploadId"))?;
        journal.note("namespace", namespace)?;
        journal.note("object", &object)?;
        journal.note("part-bytes", &self.part.to_string())?;
        journal.note("upload", upload)?;
        Ok(upload.to_owned())
    }

    fn put_part(
        &self,
        namespace: &str,
        object: &str,
        upload: &str,
        part: Part,
    ) -> Result<String, UploadError> {
        let number = (part.index + 1).to_string();
        let what = format!("sending part {number}");
        let sum = BASE64.encode(Md5::digest(&part.bytes));
        let fields = query(&[("uploadId", upload), ("uploadPartNum", &number)]);
        let url = self.in_bucket(namespace, &format!("/u/{}?{fields}", encode(object)));
        let request = Request::new("PUT", url)
            .header("content-md5", &sum)
            .header("content-type", "application/octet-stream")
            .bytes(part.bytes);
        let response = self.send(&what, &request, true)?.success(&what)?;
        let found = response.header("opc-content-md5");
        if !found.is_empty() && found != sum {
            return Err(UploadError::Corrupt { what, sent: sum, found: found.to_owned() });
        }
        match response.header("etag") {
            "" => Err(UploadError::answer(&what, "it has no etag")),
            tag => Ok(tag.to_owned()),
        }
    }

    fn put_object(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let namespace = self.namespace()?;
        let upload = self.begin(artifact, &namespace, journal)?;
        let object = Self::object(artifact);
        let size = journal.value("part-bytes").and_then(|it| it.parse().ok()).unwrap_or(self.part);
        let arrived = journal.parts();
        send_parts(
            artifact,
            size,
            self.threads,
            progress,
            |index| !arrived.contains_key(&(index + 1)),
            |part| {
                let number = part.index + 1;
                let tag = self.put_part(&namespace, &object, &upload, part)?;
                journal.arrived(number, &tag)
            },
        )?;
        let what = "completing the upload";
        let parts: Vec<Value> = journal
            .parts()
            .into_iter()
            .map(|(number, tag)| json!({"partNum": number, "etag": tag}))
            .collect();
        let fields = query(&[("uploadId", &upload)]);
        let url = self.in_bucket(&namespace, &format!("/u/{}?{fields}", encode(&object)));
        let request = Request::new("POST", url).json(&json!({"partsToCommit": parts}));
        self.call(what, &request)?;
        journal.note("sent", "yes")
    }

    fn images(&self, more: &[(&str, &str)]) -> Result<Vec<Value>, UploadError> {
        let what = "looking for images";
        let (mut found, mut page) = (Vec::new(), String::new());
        loop {
            let mut fields = vec![("compartmentId", self.compartment.as_str()), ("limit", "100")];
            fields.extend(more);
            if !page.is_empty() {
                fields.push(("page", &page));
            }
            let url = format!("{}/20160918/images?{}", self.compute, query(&fields));
            let response = self.send(what, &Request::new("GET", url), false)?.success(what)?;
            let items = response.json(what)?;
            found.extend(items.as_array().cloned().unwrap_or_default());
            match response.header("opc-next-page") {
                "" => return Ok(found),
                next => page = next.to_owned(),
            }
        }
    }

    fn image(&self, id: &str) -> Result<Option<Value>, UploadError> {
        let url = format!("{}/20160918/images/{}", self.compute, encode(id));
        self.call("asking for the image", &Request::new("GET", url))
    }

    /// Begins the import. The token makes a repeated one the same.
    fn import(&self, artifact: &Artifact, journal: &Journal) -> Result<String, UploadError> {
        let what = "importing the image";
        let token = journal.value_or("token", random_uuid)?;
        let tags: BTreeMap<_, _> = artifact.tags().into_iter().collect();
        let mut source = json!({
            "sourceType": "objectStorageTuple",
            "namespaceName": journal.value("namespace").unwrap_or_default(),
            "bucketName": self.bucket,
            "objectName": Self::object(artifact),
            "operatingSystem": "Debian",
        });
        let mut body = json!({
            "compartmentId": self.compartment,
            "displayName": artifact.remote_name(),
            "freeformTags": tags,
        });
        // The archive says both itself.
        if artifact.format != "oci" {
            source["sourceImageType"] = json!("QCOW2");
            body["launchMode"] = json!("PARAVIRTUALIZED");
        }
        body["imageSourceDetails"] = source;
        let request = Request::new("POST", format!("{}/20160918/images", self.compute))
            .header("opc-retry-token", token)
            .json(&body);
        let answer = self.call(what, &request)?.unwrap_or_default();
        let id = answer["id"].as_str();
        id.map(str::to_owned).ok_or_else(|| UploadError::answer(what, "it has no image"))
    }

    fn delete_image(&self, id: &str) -> Result<(), UploadError> {
        let url = format!("{}/20160918/images/{}", self.compute, encode(id));
        self.call("removing an image", &Request::new("DELETE", url)).map(drop)
    }
}

fn stored(image: &Value) -> Stored {
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    Stored { id: text("id"), name: text("displayName"), created: text("timeCreated") }
}

impl Destination for Oracle {
    fn place(&self) -> String {
        format!("compartment {} by {}, bucket {}", self.compartment, self.compute, self.bucket)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![
            format!(
                "send {} bytes to {} in the bucket {}",
                artifact.size,
                Self::object(artifact),
                self.bucket
            ),
            format!("import it as {} in {}", artifact.remote_name(), self.region),
            "remove the object".to_owned(),
        ]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let found = self
            .images(&[("displayName", &artifact.remote_name()), ("lifecycleState", "AVAILABLE")])?;
        let digest = json!(artifact.sha256.to_string());
        Ok(found.iter().find(|it| it["freeformTags"]["mailkiln-sha256"] == digest).map(stored))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        if journal.value("sent").is_none() {
            self.put_object(artifact, journal, progress)?;
        }
        let id = journal.value_or("image", || self.import(artifact, journal))?;
        let image = self.http.wait("Oracle imports the image", PATIENCE, progress, || {
            let image = self.image(&id)?.unwrap_or_default();
            match image["lifecycleState"].as_str() {
                Some("AVAILABLE") => Ok(Some(image)),
                Some("PROVISIONING" | "IMPORTING") => Ok(None),
                state => Err(UploadError::Failed {
                    what: "the import".to_owned(),
                    message: format!("the image's state is {}", state.unwrap_or("unknown")),
                }),
            }
        })?;
        if artifact.arch.gnu() == "aarch64" {
            for shape in ARM_SHAPES {
                let url =
                    format!("{}/20160918/images/{}/shapes/{shape}", self.compute, encode(&id));
                let request = Request::new("PUT", url).json(&json!({}));
                self.call("allowing the shapes of ARM", &request)?;
            }
        }
        Ok(stored(&image))
    }

    fn tidy(&self, journal: &Journal) -> Result<(), UploadError> {
        let Some((namespace, object)) = journal.value("namespace").zip(journal.value("object"))
        else {
            return Ok(());
        };
        let url = self.in_bucket(&namespace, &format!("/o/{}", encode(&object)));
        self.call("removing the object", &Request::new("DELETE", url)).map(drop)
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        if let Some(id) = journal.value("image") {
            self.delete_image(&id)?;
        }
        if let (Some(namespace), Some(object), Some(upload), None) = (
            journal.value("namespace"),
            journal.value("object"),
            journal.value("upload"),
            journal.value("sent"),
        ) {
            let fields = query(&[("uploadId", &upload)]);
            let url = self.in_bucket(&namespace, &format!("/u/{}?{fields}", encode(&object)));
            self.call("removing the unfinished upload", &Request::new("DELETE", url))?;
        }
        self.tidy(journal)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let is_ours = |image: &&Value| {
            image["freeformTags"]["mailkiln-name"]
                .as_str()
                .is_some_and(|it| plain(it) == plain(name))
        };
        let images = self.images(&[("lifecycleState", "AVAILABLE")])?;
        let mut found: Vec<Stored> = images.iter().filter(is_ours).map(stored).collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        self.delete_image(&stored.id)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("region", self.region.clone()), ("compartment", self.compartment.clone())])
    }
}
