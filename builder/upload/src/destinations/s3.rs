//! A bucket of Amazon S3 or of anything that speaks its protocol.
//!
//! In: an image of any format. Out: an object with the tags as its metadata. Parts go several at once, each with its SHA-256,
//! which the server checks. Source: "Amazon S3 API Reference".

use std::collections::BTreeMap;

use crate::artifact::{Artifact, plain};
use crate::credentials::aws::{Credentials, Source};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::settings::Setting;

use super::bucket::{Bucket, is_version_of};

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "s3",
    title: "a bucket of S3, or of anything that speaks its protocol",
    formats: &[],
    settings: &[
        Setting::new("bucket", &[], "the bucket; it must be there"),
        Setting::new("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], "its region").or("us-east-1"),
        Setting::new(
            "endpoint",
            &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
            "address of a service other than Amazon's; the bucket is then part of the path",
        ),
        Setting::new("prefix", &[], "what names of objects begin with, as `images/`").or(""),
        Setting::new("acl", &[], "a canned ACL, as public-read [default: the bucket's]"),
        Setting::new("part-mib", &[], "size of a part in MiB").or("8"),
        Setting::new("profile", &["AWS_PROFILE"], "profile of the AWS CLI").or("default"),
    ],
    next: include_str!("../../next/s3.hbs"),
    facts: &["bucket"],
    open,
};

struct S3 {
    bucket: Bucket,
    prefix: String,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let source = Source {
        destination: "s3",
        variables: &[["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]],
        files: true,
        profile: settings.require("profile")?,
        surroundings: settings.surroundings.clone(),
    };
    let (name, region) = (settings.require("bucket")?, settings.require("region")?);
    let base = match settings.address("endpoint")? {
        Some(endpoint) => format!("{endpoint}/{name}"),
        // A certificate for *.s3 does not hold for names with dots.
        None if name.contains('.') => format!("https://s3.{region}.amazonaws.com/{name}"),
        None => format!("https://{name}.s3.{region}.amazonaws.com"),
    };
    let bucket = Bucket {
        http: context.http.clone(),
        credentials: Credentials::read(source, &context.http)?,
        name,
        region,
        base,
        threads: context.threads,
        part: settings.number("part-mib", 5, 512)? << 20,
        acl: settings.get("acl"),
    };
    bucket.check()?;
    Ok(Box::new(S3 { bucket, prefix: settings.get("prefix").unwrap_or_default() }))
}

impl S3 {
    fn key(&self, artifact: &Artifact) -> String {
        format!("{}{}.{}", self.prefix, artifact.remote_name(), artifact.suffix)
    }

    fn stored(&self, key: &str, created: String) -> Stored {
        Stored { id: self.bucket.address(key), name: key.to_owned(), created }
    }
}

impl Destination for S3 {
    fn place(&self) -> String {
        format!("{}/{}", self.bucket.base, self.prefix)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        self.bucket.plan(artifact, &self.key(artifact))
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let key = self.key(artifact);
        Ok(self.bucket.find(artifact, &key)?.map(|created| self.stored(&key, created)))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let key = self.key(artifact);
        let created = self.bucket.put(artifact, &key, journal, progress)?;
        Ok(self.stored(&key, created))
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        self.bucket.abort(journal)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let prefix = format!("{}{}-", self.prefix, plain(name));
        let mut found: Vec<Stored> = self
            .bucket
            .list(&prefix)?
            .into_iter()
            .filter(|(key, _)| is_version_of(key.strip_prefix(&prefix).unwrap_or_default()))
            .map(|(key, created)| self.stored(&key, created))
            .collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        self.bucket.delete(&stored.name)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("bucket", self.bucket.name.clone()),
            ("region", self.bucket.region.clone()),
        ])
    }
}
