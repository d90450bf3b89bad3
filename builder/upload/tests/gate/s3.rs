//! A bucket that checks what Amazon's documents say is checked: signatures, lengths, checksums, order and size of parts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailkiln_upload::http::Request;
use mailkiln_upload::sign::aws::{Keys, Scope, sha256, sign};
use sha2::{Digest as _, Sha256};

use super::{Arrived, Reply};

/// Least size of a part but for the last ("Amazon S3 multipart upload limits").
const LEAST: usize = 5 << 20;

#[derive(Default)]
pub struct Bucket {
    pub objects: BTreeMap<String, (Vec<u8>, BTreeMap<String, String>)>,
    pub uploads: BTreeMap<String, Upload>,
    begun: u32,
}

#[derive(Default)]
pub struct Upload {
    key: String,
    meta: BTreeMap<String, String>,
    pub parts: BTreeMap<u64, Vec<u8>>,
}

fn error(status: u16, code: &str) -> Reply {
    let text = format!("<Error><Code>{code}</Code><Message>{code} of the gate</Message></Error>");
    Reply::new(status, text)
}

fn checksum(bytes: &[u8]) -> String {
    BASE64.encode(Sha256::digest(bytes))
}

fn tag(bytes: &[u8]) -> String {
    sha256(bytes)[..32].to_owned()
}

/// Whether the signature is that of the keys `id` and `secret`, over what has arrived.
pub fn signed(request: &Arrived, service: &'static str, region: &str) -> Result<(), Reply> {
    let value = request.header("authorization");
    let names = value.split("SignedHeaders=").nth(1).and_then(|it| it.split(',').next());
    let names: Vec<&str> = names.unwrap_or_default().split(';').collect();
    let host = request.header("host");
    let mut again = Request::new(
        ["GET", "HEAD", "PUT", "POST", "DELETE"]
            .into_iter()
            .find(|method| *method == request.method)
            .unwrap(),
        format!("http://{host}{}", request.target),
    );
    for name in names {
        if name != "host" && name != "x-amz-date" {
            again = again.header(name, request.header(name));
        }
    }
    let keys = Keys { id: "id".to_owned(), secret: "secret".to_owned(), token: None };
    let scope = Scope { region: region.to_owned(), service };
    let date = request.header("x-amz-date");
    let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
    let now = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    let age = jiff::Timestamp::now().as_second() - now.as_second();
    if age.abs() > 900 {
        return Err(error(403, "RequestTimeTooSkewed"));
    }
    let payload = sha256(&request.body);
    if service == "s3" && request.header("x-amz-content-sha256") != payload {
        return Err(error(400, "XAmzContentSHA256Mismatch"));
    }
    let again = sign(again, &payload, &keys, &scope, now);
    if again.value("authorization") == Some(value) {
        return Ok(());
    }
    if value.contains("Credential=id/") && !value.contains(&format!("/{region}/")) {
        return Err(Reply::new(
            400,
            format!(
                "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>{region}</Region></Error>"
            ),
        ));
    }
    Err(error(403, "SignatureDoesNotMatch"))
}

impl Bucket {
    pub fn shared() -> Arc<Mutex<Self>> {
        Arc::default()
    }

    /// Answers a request to `/bucket/KEY`.
    pub fn answer(&mut self, request: &Arrived) -> Reply {
        if let Err(reply) = signed(request, "s3", "us-east-1") {
            return reply;
        }
        let path = super::decode(request.path());
        let Some(key) = path.strip_prefix("/bucket/").map(str::to_owned) else {
            return error(404, "NoSuchBucket");
        };
        let query = request.query();
        let upload = query.get("uploadId").cloned();
        match (request.method.as_str(), upload) {
            ("POST", None) if query.contains_key("uploads") => self.begin(request, key),
            ("PUT", Some(id)) => self.part(request, &key, &id),
            ("GET", Some(id)) => self.listed(&key, &id, &query),
            ("POST", Some(id)) => self.complete(request, &key, &id),
            ("DELETE", Some(id)) => match self.uploads.remove(&id) {
                Some(_) => Reply::new(204, ""),
                None => error(404, "NoSuchUpload"),
            },
            ("HEAD", None) => match self.objects.get(&key) {
                Some((bytes, meta)) => meta.iter().fold(
                    Reply::new(200, "")
                        .with("content-length", bytes.len().to_string())
                        .with("last-modified", "Sat, 21 Nov 2026 02:10:46 GMT"),
                    |reply, (name, value)| reply.with(name, value),
                ),
                None => Reply::new(404, ""),
            },
            ("DELETE", None) => {
                self.objects.remove(&key);
                Reply::new(204, "")
            }
            ("GET", None) if key.is_empty() => self.list(&query),
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn begin(&mut self, request: &Arrived, key: String) -> Reply {
        assert_eq!(request.header("x-amz-checksum-algorithm"), "SHA256");
        self.begun += 1;
        let id = format!("upload+{}/=", self.begun);
        let meta = request
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-amz-meta-"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let text = format!(
            "<InitiateMultipartUploadResult xmlns=\"urn:x\"><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        self.uploads.insert(id, Upload { key, meta, parts: BTreeMap::new() });
        Reply::new(200, text)
    }

    fn part(&mut self, request: &Arrived, key: &str, id: &str) -> Reply {
        let Some(upload) = self.uploads.get_mut(id).filter(|it| it.key == key) else {
            return error(404, "NoSuchUpload");
        };
        let sum = checksum(&request.body);
        if request.header("x-amz-checksum-sha256") != sum {
            return error(400, "BadDigest");
        }
        let number: u64 = request.query()["partNumber"].parse().unwrap();
        if !(1..=10_000).contains(&number) {
            return error(400, "InvalidArgument");
        }
        let tag = tag(&request.body);
        upload.parts.insert(number, request.body.clone());
        Reply::new(200, "").with("etag", format!("\"{tag}\"")).with("x-amz-checksum-sha256", sum)
    }

    /// Two parts a page, so that pages are followed.
    fn listed(&self, key: &str, id: &str, query: &BTreeMap<String, String>) -> Reply {
        let Some(upload) = self.uploads.get(id).filter(|it| it.key == key) else {
            return error(404, "NoSuchUpload");
        };
        let after: u64 = query.get("part-number-marker").map_or(0, |it| it.parse().unwrap());
        let rest: Vec<_> = upload.parts.iter().filter(|(number, _)| **number > after).collect();
        let mut text = String::from("<ListPartsResult>");
        for (number, bytes) in rest.iter().take(2) {
            text.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{}&quot;</ETag></Part>",
                tag(bytes)
            ));
        }
        if rest.len() > 2 {
            text.push_str(&format!(
                "<IsTruncated>true</IsTruncated><NextPartNumberMarker>{}</NextPartNumberMarker>",
                rest[1].0
            ));
        }
        text.push_str("</ListPartsResult>");
        Reply::new(200, text)
    }

    fn complete(&mut self, request: &Arrived, key: &str, id: &str) -> Reply {
        let Some(upload) = self.uploads.get(id).filter(|it| it.key == key) else {
            return error(404, "NoSuchUpload");
        };
        let text = String::from_utf8(request.body.clone()).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let named: Vec<(u64, String, String)> = document
            .descendants()
            .filter(|node| node.tag_name().name() == "Part")
            .map(|part| {
                let field = |name| {
                    let node = part.children().find(|it| it.tag_name().name() == name);
                    node.and_then(|it| it.text()).unwrap_or_default().to_owned()
                };
                (field("PartNumber").parse().unwrap(), field("ETag"), field("ChecksumSHA256"))
            })
            .collect();
        if named.is_empty() || !named.is_sorted() {
            return error(400, "InvalidPartOrder");
        }
        let (mut object, mut sums) = (Vec::new(), Vec::new());
        for (index, (number, tagged, sum)) in named.iter().enumerate() {
            let Some(bytes) = upload.parts.get(number) else { return error(400, "InvalidPart") };
            if tagged.trim_matches('"') != tag(bytes) || *sum != checksum(bytes) {
                return error(400, "InvalidPart");
            }
            if index + 1 < named.len() && bytes.len() < LEAST {
                return error(400, "EntityTooSmall");
            }
            object.extend(bytes);
            sums.extend(Sha256::digest(bytes));
        }
        let whole = format!("{}-{}", checksum(&sums), named.len());
        let upload = self.uploads.remove(id).unwrap();
        self.objects.insert(key.to_owned(), (object, upload.meta));
        let text = format!(
            "<CompleteMultipartUploadResult><ChecksumSHA256>{whole}</ChecksumSHA256></CompleteMultipartUploadResult>"
        );
        Reply::new(200, text)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Reply {
        let prefix = &query["prefix"];
        let mut text = String::from("<ListBucketResult>");
        for (number, key) in self.objects.keys().filter(|it| it.starts_with(prefix)).enumerate() {
            text.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-{:02}T00:00:00.000Z</LastModified></Contents>",
                number + 1
            ));
        }
        text.push_str("</ListBucketResult>");
        Reply::new(200, text)
    }
}
