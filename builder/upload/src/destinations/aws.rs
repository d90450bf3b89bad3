//! Amazon EC2: a snapshot by the EBS direct APIs, registered as an image (AMI).
//!
//! In: a raw disk. Out: an AMI. Blocks of 512 KiB go several at once, each with its SHA-256; blocks of zeros are not sent. The
//! snapshot is sealed with the checksum of all. Sources: "EBS direct APIs", "RegisterImage", "Boot modes".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use mailkiln_pin::Arch;
use ring::digest::{SHA256, digest};
use roxmltree::{Document, Node};
use serde_json::json;

use super::bucket::{element, is_version_of};
use super::openstack::random_uuid;
use crate::artifact::{Artifact, plain};
use crate::credentials::aws::{Credentials, Source};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::http::{Http, Request, Response};
use crate::journal::Journal;
use crate::parts::{hex, send_parts};
use crate::progress::Progress;
use crate::settings::Setting;
use crate::sign::aws::{Scope, fields, sha256};

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "aws",
    title: "Amazon EC2: an AMI, by the EBS direct APIs",
    formats: &["img"],
    settings: &[
        Setting::new(
            "region",
            &["AWS_REGION", "AWS_DEFAULT_REGION"],
            "the region, as eu-central-1",
        ),
        Setting::new(
            "endpoint",
            &["AWS_ENDPOINT_URL"],
            "address in place of Amazon's, for EC2 and EBS",
        ),
        Setting::new("profile", &["AWS_PROFILE"], "profile of the AWS CLI").or("default"),
    ],
    next: include_str!("../../next/aws.hbs"),
    facts: &["region"],
    open,
};

/// Bytes of a block ("EBS direct APIs": 524,288).
const BLOCK: usize = 512 << 10;
/// Blocks for each of the parts that other destinations send at once.
const BLOCKS_AT_ONCE: usize = 4;
/// Minutes that the service may take to seal a snapshot.
const PATIENCE: u64 = 60;
/// Minutes after which the service gives up a snapshot that gets no blocks: its longest, so that resuming works next day.
const TIMEOUT: u64 = 4320;
/// The version of the EC2 API.
const VERSION: &str = "2016-11-15";

struct Aws {
    http: Http,
    credentials: Credentials,
    region: String,
    ec2: String,
    ebs: String,
    threads: usize,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let region = settings.require("region")?;
    if !region.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-') {
        return Err(UploadError::Setting {
            message: format!("`{}` can't be a region", region.escape_debug()),
            hint: "write it as eu-central-1".to_owned(),
        });
    }
    let source = Source {
        destination: "aws",
        variables: &[["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]],
        files: true,
        profile: settings.require("profile")?,
        surroundings: settings.surroundings.clone(),
    };
    let endpoint = settings.address("endpoint")?;
    let of = |service| match &endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://{service}.{region}.amazonaws.com"),
    };
    Ok(Box::new(Aws {
        http: context.http.clone(),
        credentials: Credentials::read(source, &context.http)?,
        ec2: of("ec2"),
        ebs: of("ebs"),
        region,
        threads: context.threads * BLOCKS_AT_ONCE,
    }))
}

impl Aws {
    fn send(
        &self,
        what: &str,
        service: &'static str,
        request: &Request,
        payload: &str,
    ) -> Result<Response, UploadError> {
        let scope = Scope { region: self.region.clone(), service };
        self.credentials.send(&self.http, what, &scope, payload, request)
    }

    /// A call of EC2's Query API; its answer as text.
    fn ec2(&self, what: &str, action: &str, more: &[(&str, &str)]) -> Result<String, UploadError> {
        let mut pairs = vec![
            ("Action".to_owned(), action.to_owned()),
            ("Version".to_owned(), VERSION.to_owned()),
        ];
        pairs.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let body = fields(&pairs);
        let payload = sha256(body.as_bytes());
        let request = Request::new("POST", format!("{}/", self.ec2))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .bytes(body);
        Ok(self.send(what, "ec2", &request, &payload)?.success(what)?.text())
    }

    /// The images of this account that a filter finds.
    fn images(&self, filter: &str, value: &str) -> Result<Vec<Image>, UploadError> {
        let what = "looking for images";
        let text = self.ec2(
            what,
            "DescribeImages",
            &[("Owner.1", "self"), ("Filter.1.Name", filter), ("Filter.1.Value.1", value)],
        )?;
        let document = Document::parse(&text)
            .map_err(|error| UploadError::answer(what, format!("no XML: {error}")))?;
        let set = document.descendants().find(|node| node.tag_name().name() == "imagesSet");
        let items = set.iter().flat_map(Node::children).filter(Node::is_element);
        Ok(items.map(Image::read).collect())
    }

    /// The state of a snapshot; nothing when there is none.
    fn snapshot(&self, id: &str) -> Result<Option<String>, UploadError> {
        match self.ec2("asking for the snapshot", "DescribeSnapshots", &[("SnapshotId.1", id)]) {
            Ok(text) => Ok(element(&text, "status").or_else(|| element(&text, "state"))),
            Err(UploadError::Refused { code, .. }) if code == "InvalidSnapshot.NotFound" => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn delete_snapshot(&self, id: &str) -> Result<(), UploadError> {
        match self.ec2("removing the snapshot", "DeleteSnapshot", &[("SnapshotId", id)]) {
            Err(UploadError::Refused { code, .. }) if code == "InvalidSnapshot.NotFound" => Ok(()),
            other => other.map(drop),
        }
    }

    /// Begins a snapshot, or takes up the one of the journal. The token makes a repeated beginning the same one.
    fn begin(&self, artifact: &Artifact, journal: &Journal) -> Result<String, UploadError> {
        if let Some(id) = journal.value("snapshot") {
            match self.snapshot(&id)?.as_deref() {
                Some("pending" | "completed") => return Ok(id),
                Some(_) => self.delete_snapshot(&id)?,
                None => {}
            }
            journal.forget()?;
        }
        let what = "beginning the snapshot";
        let token = journal.value_or("token", random_uuid)?;
        let mut tags: Vec<_> = artifact
            .tags()
            .into_iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        tags.push(json!({"Key": "Name", "Value": artifact.remote_name()}));
        let body = json!({
            "VolumeSize": artifact.disk_gib(),
            "Description": artifact.description(),
            "ClientToken": token,
            "Timeout": TIMEOUT,
            "Tags": tags,
        })
        .to_string();
        let payload = sha256(body.as_bytes());
        let request = Request::new("POST", format!("{}/snapshots", self.ebs))
            .header("content-type", "application/json")
            .bytes(body);
        let answer = self.send(what, "ebs", &request, &payload)?.success(what)?.json(what)?;
        let id = answer["SnapshotId"]
            .as_str()
            .filter(|id| {
                id.starts_with("snap-")
                    && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
            })
            .ok_or_else(|| UploadError::answer(what, "it has no SnapshotId"))?;
        if answer["BlockSize"].as_u64().is_some_and(|size| size != BLOCK as u64) {
            return Err(UploadError::answer(what, "blocks have another size"));
        }
        journal.note("snapshot", id)?;
        Ok(id.to_owned())
    }

    /// Sends a block; returns its checksum.
    fn put_block(&self, snapshot: &str, index: u64, bytes: Bytes) -> Result<String, UploadError> {
        let what = format!("sending block {index}");
        let sum = digest(&SHA256, &bytes);
        let checksum = BASE64.encode(sum.as_ref());
        let request =
            Request::new("PUT", format!("{}/snapshots/{snapshot}/blocks/{index}", self.ebs))
                .header("content-type", "application/octet-stream")
                .header("x-amz-data-length", bytes.len().to_string())
                .header("x-amz-checksum", &checksum)
                .header("x-amz-checksum-algorithm", "SHA256")
                .bytes(bytes);
        let response = self.send(&what, "ebs", &request, &hex(sum.as_ref()))?.success(&what)?;
        let found = response.header("x-amz-checksum");
        if !found.is_empty() && found != checksum {
            return Err(UploadError::Corrupt { what, sent: checksum, found: found.to_owned() });
        }
        Ok(checksum)
    }

    /// Seals the snapshot with the number of blocks and the checksum of their checksums.
    fn complete(&self, snapshot: &str, blocks: &BTreeMap<u64, String>) -> Result<(), UploadError> {
        let what = "completing the snapshot";
        let sums: Vec<u8> =
            blocks.values().flat_map(|sum| BASE64.decode(sum).unwrap_or_default()).collect();
        let request = Request::new("POST", format!("{}/snapshots/completion/{snapshot}", self.ebs))
            .header("x-amz-changedblockscount", blocks.len().to_string())
            .header("x-amz-checksum", BASE64.encode(digest(&SHA256, &sums)))
            .header("x-amz-checksum-algorithm", "SHA256")
            .header("x-amz-checksum-aggregation-method", "LINEAR");
        let payload = crate::sign::aws::EMPTY;
        self.send(what, "ebs", &request, payload)?.success(what).map(drop)
    }

    fn register(&self, artifact: &Artifact, snapshot: &str) -> Result<(), UploadError> {
        let arm = artifact.arch == Arch::Aarch64;
        let (name, description) = (artifact.remote_name(), artifact.description());
        let tags = artifact.tags();
        let mut pairs: Vec<(String, &str)> = [
            ("Name", name.as_str()),
            ("Description", &description),
            ("Architecture", if arm { "arm64" } else { "x86_64" }),
            ("BootMode", if arm { "uefi" } else { "uefi-preferred" }),
            ("EnaSupport", "true"),
            ("SriovNetSupport", "simple"),
            ("ImdsSupport", "v2.0"),
            ("VirtualizationType", "hvm"),
            ("RootDeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", snapshot),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("TagSpecification.1.ResourceType", "image"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        for (number, (key, value)) in tags.iter().enumerate() {
            let at = format!("TagSpecification.1.Tag.{}", number + 1);
            pairs.push((format!("{at}.Key"), key));
            pairs.push((format!("{at}.Value"), value));
        }
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        match self.ec2("registering the image", "RegisterImage", &pairs) {
            // A first try whose answer was lost has registered it.
            Err(UploadError::Refused { code, .. }) if code == "InvalidAMIName.Duplicate" => Ok(()),
            other => other.map(drop),
        }
    }

    /// The image with this image's name, once it can be used.
    fn registered(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let images = self.images("name", &artifact.remote_name())?;
        let Some(image) = images.first() else { return Ok(None) };
        match image.state.as_str() {
            "available" => Ok(Some(image.stored.clone())),
            "pending" => Ok(None),
            state => Err(UploadError::Failed {
                what: format!("the image {}", image.stored.id),
                message: format!("its state is {state}"),
            }),
        }
    }
}

/// What is read of an image.
struct Image {
    stored: Stored,
    state: String,
    snapshots: Vec<String>,
}

impl Image {
    fn read(item: Node<'_, '_>) -> Self {
        let field = |name: &str| {
            let node = item.children().find(|it| it.tag_name().name() == name);
            node.and_then(|it| it.text()).unwrap_or_default().to_owned()
        };
        let snapshots = item
            .descendants()
            .filter(|it| it.tag_name().name() == "snapshotId")
            .filter_map(|it| it.text().map(str::to_owned))
            .collect();
        let stored =
            Stored { id: field("imageId"), name: field("name"), created: field("creationDate") };
        Self { stored, state: field("imageState"), snapshots }
    }
}

impl Destination for Aws {
    fn place(&self) -> String {
        format!("EC2 in {} by {}", self.region, self.ec2)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        let blocks = artifact.size.div_ceil(BLOCK as u64);
        vec![
            format!("begin a snapshot of {} GiB in {}", artifact.disk_gib(), self.region),
            format!("send those of its {blocks} blocks of 512 KiB that are not all zeros"),
            format!("register the AMI {}", artifact.remote_name()),
        ]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        self.registered(artifact)
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let snapshot = self.begin(artifact, journal)?;
        if journal.value("sealed").is_none() {
            let arrived = journal.parts();
            send_parts(
                artifact,
                BLOCK as u64,
                self.threads,
                progress,
                |index| !arrived.contains_key(&index),
                |part| {
                    if part.is_zero() {
                        return Ok(());
                    }
                    let mut bytes = part.bytes.to_vec();
                    bytes.resize(BLOCK, 0);
                    let sum = self.put_block(&snapshot, part.index, bytes.into())?;
                    journal.arrived(part.index, &sum)
                },
            )?;
            match self.complete(&snapshot, &journal.parts()) {
                // A first try whose answer was lost, or that was killed before it was noted, has sealed it.
                Err(UploadError::Refused { .. })
                    if self.snapshot(&snapshot)?.as_deref() == Some("completed") => {}
                other => other?,
            }
            journal.note("sealed", "yes")?;
        }
        self.http.wait("the snapshot is sealed", PATIENCE, progress, || {
            match self.snapshot(&snapshot)?.as_deref() {
                Some("completed") => Ok(Some(())),
                Some("pending") => Ok(None),
                state => Err(UploadError::Failed {
                    what: format!("the snapshot {snapshot}"),
                    message: format!("its state is {}", state.unwrap_or("unknown")),
                }),
            }
        })?;
        progress.step("registering the image");
        self.register(artifact, &snapshot)?;
        self.http.wait("the image can be used", PATIENCE, progress, || self.registered(artifact))
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        journal.value("snapshot").map_or(Ok(()), |id| self.delete_snapshot(&id))
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let prefix = format!("{}-", plain(name));
        let images = self.images("name", &format!("{prefix}*"))?;
        let is_ours = |image: &Image| {
            let rest = image.stored.name.strip_prefix(&prefix);
            rest.is_some_and(|rest| is_version_of(&format!("{rest}.ami")))
        };
        let mut found: Vec<Stored> =
            images.into_iter().filter(is_ours).map(|image| image.stored).collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        let images = self.images("name", &stored.name)?;
        for image in images.iter().filter(|image| image.stored.id == stored.id) {
            self.ec2("removing an image", "DeregisterImage", &[("ImageId", &stored.id)])?;
            for snapshot in &image.snapshots {
                self.delete_snapshot(snapshot)?;
            }
        }
        Ok(())
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("region", self.region.clone())])
    }
}
