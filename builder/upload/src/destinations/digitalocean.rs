//! DigitalOcean: a custom image, which it fetches from a bucket of Spaces.
//!
//! In: a raw disk (gzip) or a qcow2. Out: a custom image; the object is removed. DigitalOcean fetches by HTTP without a
//! signature, so the object can be read by everybody while that lasts: an image holds no secret. Source: "DigitalOcean
//! API: Images", "Custom Images Limits".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bucket::Bucket;
use crate::artifact::{Artifact, plain};
use crate::credentials::aws::{Credentials, Source};
use crate::credentials::digitalocean::token;
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::{UploadError, presentable};
use crate::http::{Http, Request, query};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "digitalocean",
    title: "DigitalOcean: a custom image, through a bucket of Spaces",
    formats: &["img.gz", "qcow2-zlib", "qcow2", "img"],
    settings: &[
        Setting::new("bucket", &[], "a bucket of Spaces; it must be there"),
        Setting::new("region", &[], "region of the image and the bucket, as fra1"),
        Setting::new("endpoint", &["DIGITALOCEAN_API_URL"], "address of the API")
            .or("https://api.digitalocean.com"),
        Setting::new(
            "spaces-endpoint",
            &["SPACES_ENDPOINT_URL"],
            "address of Spaces [default: that of the region]",
        ),
        Setting::new("part-mib", &[], "size of a part in MiB").or("8"),
    ],
    next: include_str!("../../next/digitalocean.hbs"),
    facts: &["region"],
    open,
};

/// Minutes that an import may take.
const PATIENCE: u64 = 120;

struct DigitalOcean {
    http: Http,
    endpoint: String,
    token: String,
    region: String,
    bucket: Bucket,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let (name, region) = (settings.require("bucket")?, settings.require("region")?);
    let spaces = match settings.address("spaces-endpoint")? {
        Some(endpoint) => endpoint,
        None => format!("https://{region}.digitaloceanspaces.com"),
    };
    let source = Source {
        destination: "digitalocean",
        variables: &[
            ["SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "SPACES_SESSION_TOKEN"],
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        ],
        files: false,
        profile: String::new(),
        surroundings: settings.surroundings.clone(),
    };
    let bucket = Bucket {
        http: context.http.clone(),
        credentials: Credentials::read(source, &context.http)?,
        base: format!("{spaces}/{name}"),
        name,
        // Spaces takes the region of SDKs ("Use Spaces with AWS SDKs").
        region: "us-east-1".to_owned(),
        threads: context.threads,
        part: settings.number("part-mib", 5, 512)? << 20,
        acl: Some("public-read".to_owned()),
    };
    bucket.check()?;
    Ok(Box::new(DigitalOcean {
        http: context.http.clone(),
        endpoint: settings.address("endpoint")?.unwrap_or_default(),
        token: token(settings)?,
        region,
        bucket,
    }))
}

impl DigitalOcean {
    fn key(artifact: &Artifact) -> String {
        format!("{}.{}", artifact.remote_name(), artifact.suffix)
    }

    fn call(
        &self,
        what: &str,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, UploadError> {
        let mut request = Request::new(method, format!("{}/v2{path}", self.endpoint))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.http.fetch(what, request)?;
        if response.body.is_empty() { Ok(Value::Null) } else { response.json(what) }
    }

    fn images(&self, tag: &str) -> Result<Vec<Value>, UploadError> {
        let what = "looking for images";
        let (mut found, mut page) = (Vec::new(), 1_u32);
        loop {
            let number = page.to_string();
            let fields = query(&[("tag_name", tag), ("per_page", "100"), ("page", &number)]);
            let answer = self.call(what, "GET", &format!("/images?{fields}"), None)?;
            found.extend(answer["images"].as_array().cloned().unwrap_or_default());
            if !answer["links"]["pages"]["next"].is_string() || page > 100 {
                return Ok(found);
            }
            page += 1;
        }
    }

    fn image(&self, id: &str) -> Result<Value, UploadError> {
        let answer = self.call("asking for the image", "GET", &format!("/images/{id}"), None)?;
        Ok(answer["image"].clone())
    }

    fn delete(&self, id: &str) -> Result<(), UploadError> {
        match self.call("removing an image", "DELETE", &format!("/images/{id}"), None) {
            Err(UploadError::Refused { status: 404, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    fn import(&self, artifact: &Artifact, key: &str) -> Result<String, UploadError> {
        // A first try whose answer was lost has begun the import.
        if let Some(image) = self.images(&tag("sha256", &artifact.sha256.to_string()))?.first() {
            return Ok(image["id"].to_string());
        }
        let what = "importing the image";
        let mut tags = vec![tag("name", &plain(&artifact.name))];
        for (key, value) in artifact.tags() {
            if !value.is_empty() && key != "mailkiln-name" {
                tags.push(tag(key.trim_start_matches("mailkiln-"), &value));
            }
        }
        let body = json!({
            "name": artifact.remote_name(),
            "url": self.bucket.address(key),
            "distribution": "Debian",
            "region": self.region,
            "description": artifact.description(),
            "tags": tags,
        });
        let answer = self.call(what, "POST", "/images", Some(&body))?;
        match answer["image"]["id"].as_u64() {
            Some(id) => Ok(id.to_string()),
            None => Err(UploadError::answer(what, "it has no image")),
        }
    }
}

/// A tag: letters, digits, colons, hyphens and underscores.
fn tag(key: &str, value: &str) -> String {
    let allowed = |it: char| if it.is_ascii_alphanumeric() || "-_".contains(it) { it } else { '-' };
    format!("mailkiln-{key}:{}", value.chars().map(allowed).collect::<String>())
}

fn stored(image: &Value) -> Stored {
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    Stored { id: image["id"].to_string(), name: text("name"), created: text("created_at") }
}

impl Destination for DigitalOcean {
    fn place(&self) -> String {
        format!(
            "DigitalOcean in {} by {}, through {}",
            self.region, self.endpoint, self.bucket.base
        )
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        let mut steps = self.bucket.plan(artifact, &Self::key(artifact));
        steps.push(format!("import it as {} in {}", artifact.remote_name(), self.region));
        steps.push("remove the object, which everybody could read until then".to_owned());
        steps
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let found = self.images(&tag("sha256", &artifact.sha256.to_string()))?;
        Ok(found.iter().find(|image| image["status"] == "available").map(stored))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let key = Self::key(artifact);
        if self.bucket.find(artifact, &key)?.is_none() {
            self.bucket.put(artifact, &key, journal, progress)?;
        }
        let key_of_object = key.clone();
        journal.note("object", &key_of_object)?;
        let id = journal.value_or("image", || self.import(artifact, &key))?;
        let image = self.http.wait("DigitalOcean imports the image", PATIENCE, progress, || {
            let image = self.image(&id)?;
            match image["status"].as_str().unwrap_or_default() {
                "available" => Ok(Some(image)),
                "retired" | "deleted" => Err(UploadError::Failed {
                    what: "the import".to_owned(),
                    message: presentable(
                        image["error_message"].as_str().unwrap_or("no reason given"),
                    ),
                }),
                _ => match image["error_message"].as_str().filter(|it| !it.is_empty()) {
                    Some(message) => Err(UploadError::Failed {
                        what: "the import".to_owned(),
                        message: presentable(message),
                    }),
                    None => Ok(None),
                },
            }
        })?;
        Ok(stored(&image))
    }

    fn tidy(&self, journal: &Journal) -> Result<(), UploadError> {
        journal.value("object").map_or(Ok(()), |key| self.bucket.delete(&key))
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        if let Some(id) = journal.value("image") {
            self.delete(&id)?;
        }
        self.bucket.abort(journal)?;
        self.tidy(journal)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let mut found: Vec<Stored> =
            self.images(&tag("name", &plain(name)))?.iter().map(stored).collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.id.cmp(&one.id)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        self.delete(&stored.id)
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("region", self.region.clone())])
    }
}
