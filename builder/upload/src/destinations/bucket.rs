//! A bucket by S3's protocol: what the destinations that go through one have in common.
//!
//! Parts of one size go several at once. The journal holds the identifier of the unfinished upload and each part's tag; on
//! the next run, parts that the server still lists with the same tag are not sent again.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::fmt::rfc2822;
use ring::digest::{SHA256, digest};
use roxmltree::Document;

use crate::artifact::Artifact;
use crate::credentials::aws::Credentials;
use crate::error::UploadError;
use crate::http::{Body, Request, Response, encode_path, query};
use crate::journal::Journal;
use crate::parts::{hex, send_parts};
use crate::progress::Progress;
use crate::sign::aws::{EMPTY, Scope, sha256};

/// Parts that an upload may have ("Amazon S3 multipart upload limits": 10,000), with some room.
const MOST_PARTS: u64 = 9_900;

/// A bucket and how to speak to it.
#[derive(Debug)]
pub struct Bucket {
    /// The client.
    pub http: crate::http::Http,
    /// Keys.
    pub credentials: Credentials,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its address, without a slash at the end.
    pub base: String,
    /// Parts that are sent at once.
    pub threads: usize,
    /// Least size of a part in bytes.
    pub part: u64,
    /// A canned ACL.
    pub acl: Option<String>,
}

/// A request to the bucket.
struct Call<'a> {
    what: &'a str,
    method: &'static str,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'a str, &'a str)],
    body: Bytes,
    /// SHA-256 of the body in hexadecimal.
    payload: &'a str,
}

impl<'a> Call<'a> {
    fn new(what: &'a str, method: &'static str, key: &'a str) -> Self {
        Self { what, method, key, query: &[], headers: &[], body: Bytes::new(), payload: EMPTY }
    }
}

impl Bucket {
    /// Fails where the name can't be a bucket's, as it becomes part of an address.
    ///
    /// # Errors
    /// [`UploadError::Setting`].
    pub fn check(&self) -> Result<(), UploadError> {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
        if !self.name.is_empty() && self.name.bytes().all(plain) {
            return Ok(());
        }
        Err(UploadError::Setting {
            message: format!("`{}` can't be a bucket", self.name.escape_debug()),
            hint: "give its name alone: letters, digits, hyphens, dots".to_owned(),
        })
    }

    /// The address of an object.
    pub fn address(&self, key: &str) -> String {
        format!("{}/{}", self.base, encode_path(key))
    }

    /// What [`put`](Self::put) does.
    pub fn plan(&self, artifact: &Artifact, key: &str) -> Vec<String> {
        let size = self.part_size(artifact.size);
        let parts = artifact.size.div_ceil(size);
        let acl = self.acl.as_ref().map_or(String::new(), |acl| format!(", with the ACL {acl}"));
        vec![format!("send {} bytes in {parts} parts to {}{acl}", artifact.size, self.address(key))]
    }

    /// The size of parts for so many bytes: whole MiB.
    fn part_size(&self, bytes: u64) -> u64 {
        self.part.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
    }

    fn send(&self, call: Call<'_>) -> Result<Response, UploadError> {
        let fields = query(call.query);
        let separator = if fields.is_empty() { "" } else { "?" };
        let base = match call.key {
            "" => format!("{}/", self.base),
            key => self.address(key),
        };
        let mut request = Request::new(call.method, format!("{base}{separator}{fields}"))
            .header("x-amz-content-sha256", call.payload);
        for (name, value) in call.headers {
            request = request.header(name, *value);
        }
        if !call.body.is_empty() {
            request.body = Body::Bytes(call.body);
        }
        let scope = Scope { region: self.region.clone(), service: "s3" };
        self.credentials.send(&self.http, call.what, &scope, call.payload, &request)
    }

    /// The error of an answer, with the region where the bucket really is.
    fn refused(&self, what: &str, response: &Response) -> UploadError {
        let named = match response.header("x-amz-bucket-region") {
            "" => element(&response.text(), "Region").unwrap_or_default(),
            region => region.to_owned(),
        };
        let mut error = response.refused(what);
        if let UploadError::Refused { hint, status, code, .. } = &mut error {
            if !named.is_empty() && named != self.region {
                let named = named.escape_debug();
                *hint = Some(format!("the bucket is in {named}: pass `--region {named}`"));
            } else if *status == 404 && code == "NoSuchBucket" {
                *hint = Some(format!("make the bucket `{}` first", self.name));
            }
        }
        error
    }

    /// When the object was made, if it is there with the image's digest and size.
    ///
    /// # Errors
    /// As requests fail.
    pub fn find(&self, artifact: &Artifact, key: &str) -> Result<Option<String>, UploadError> {
        let what = "looking for the image";
        let response = self.send(Call::new(what, "HEAD", key))?;
        match response.status {
            404 => return Ok(None),
            200 => {}
            _ => return Err(self.refused(what, &response)),
        }
        let same = response.header("x-amz-meta-mailkiln-sha256") == artifact.sha256.to_string()
            && response.header("content-length") == artifact.size.to_string();
        let created = rfc2822::DateTimeParser::new()
            .parse_timestamp(response.header("last-modified"))
            .map(|moment| moment.to_string())
            .unwrap_or_default();
        Ok(same.then_some(created))
    }

    /// Sends the image; returns when the object was made.
    ///
    /// # Errors
    /// As requests fail.
    pub fn put(
        &self,
        artifact: &Artifact,
        key: &str,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<String, UploadError> {
        let arrived = self.begin(artifact, key, journal)?;
        let (upload, size) = unfinished(journal)?;
        send_parts(
            artifact,
            size,
            self.threads,
            progress,
            |index| !arrived.contains_key(&(index + 1)),
            |part| {
                let tag = self.put_part(key, &upload, part.index + 1, part.bytes)?;
                journal.arrived(part.index + 1, &tag)
            },
        )?;
        self.complete(key, &upload, journal)?;
        self.find(artifact, key)?.ok_or_else(|| {
            UploadError::answer("looking for the image", "it is not there after the upload")
        })
    }

    /// Begins an upload, or takes up the one of the journal; returns the parts that need not be sent.
    fn begin(
        &self,
        artifact: &Artifact,
        key: &str,
        journal: &Journal,
    ) -> Result<BTreeMap<u64, String>, UploadError> {
        if let Ok((upload, _)) = unfinished(journal) {
            if let Some(listed) = self.listed(key, &upload)? {
                let mut parts = journal.parts();
                parts.retain(|number, tag| {
                    listed.get(number) == tag.split(' ').next().map(str::to_owned).as_ref()
                });
                return Ok(parts);
            }
            journal.forget()?;
        }
        let tags: Vec<(String, String)> = artifact
            .tags()
            .into_iter()
            .map(|(key, value)| (format!("x-amz-meta-{key}"), value))
            .collect();
        let mut headers: Vec<(&str, &str)> =
            tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        headers.push(("x-amz-checksum-algorithm", "SHA256"));
        headers.push(("content-type", "application/octet-stream"));
        if let Some(acl) = &self.acl {
            headers.push(("x-amz-acl", acl));
        }
        let what = "beginning the upload";
        let call =
            Call { query: &[("uploads", "")], headers: &headers, ..Call::new(what, "POST", key) };
        let response = self.send(call)?;
        if !response.is_success() {
            return Err(self.refused(what, &response));
        }
        let upload = element(&response.text(), "UploadId")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| UploadError::answer(what, "it has no UploadId"))?;
        journal.note("key", key)?;
        journal.note("part-bytes", &self.part_size(artifact.size).to_string())?;
        journal.note("upload", &upload)?;
        Ok(BTreeMap::new())
    }

    /// The parts that the server has, by number; nothing when it does not know the upload.
    fn listed(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Option<BTreeMap<u64, String>>, UploadError> {
        let what = "asking what has arrived";
        let (mut parts, mut after) = (BTreeMap::new(), "0".to_owned());
        loop {
            let fields = [("part-number-marker", after.as_str()), ("uploadId", upload)];
            let response = self.send(Call { query: &fields, ..Call::new(what, "GET", key) })?;
            if response.status == 404 {
                return Ok(None);
            }
            if !response.is_success() {
                return Err(self.refused(what, &response));
            }
            let text = response.text();
            let document = parse(what, &text)?;
            for part in document.descendants().filter(|node| node.has_tag_name_anywhere("Part")) {
                let field = |name| part.children().find(|it| it.has_tag_name_anywhere(name));
                let number = field("PartNumber").and_then(|it| it.text()?.parse().ok());
                let tag = field("ETag").and_then(|it| it.text());
                if let (Some(number), Some(tag)) = (number, tag) {
                    parts.insert(number, tag.trim_matches('"').to_owned());
                }
            }
            let next = element(&text, "NextPartNumberMarker").unwrap_or_default();
            if element(&text, "IsTruncated").as_deref() != Some("true") || next == after {
                return Ok(Some(parts));
            }
            after = next;
        }
    }

    /// Sends a part; returns its tag and its checksum, with a blank between them.
    fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u64,
        bytes: Bytes,
    ) -> Result<String, UploadError> {
        let what = format!("sending part {number}");
        let sum = digest(&SHA256, &bytes);
        let (payload, checksum) = (hex(sum.as_ref()), BASE64.encode(sum.as_ref()));
        let number = number.to_string();
        let response = self.send(Call {
            query: &[("partNumber", &number), ("uploadId", upload)],
            headers: &[("x-amz-checksum-sha256", &checksum)],
            body: bytes,
            payload: &payload,
            ..Call::new(&what, "PUT", key)
        })?;
        if !response.is_success() {
            return Err(self.refused(&what, &response));
        }
        let found = response.header("x-amz-checksum-sha256");
        if !found.is_empty() && found != checksum {
            return Err(UploadError::Corrupt { what, sent: checksum, found: found.to_owned() });
        }
        match response.header("etag").trim_matches('"') {
            "" => Err(UploadError::answer(&what, "it has no ETag")),
            tag => Ok(format!("{tag} {checksum}")),
        }
    }

    /// Makes an object of the parts. A failure may come with status 200 ("CompleteMultipartUpload").
    fn complete(&self, key: &str, upload: &str, journal: &Journal) -> Result<(), UploadError> {
        let what = "completing the upload";
        let mut body = String::from(
            r#"<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#,
        );
        let mut sums = Vec::new();
        for (number, tag) in journal.parts() {
            let (tag, checksum) = tag.split_once(' ').unwrap_or((&tag, ""));
            body.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag>\
                 <ChecksumSHA256>{checksum}</ChecksumSHA256></Part>"
            ));
            sums.extend(BASE64.decode(checksum).unwrap_or_default());
        }
        body.push_str("</CompleteMultipartUpload>");
        let payload = sha256(body.as_bytes());
        let response = self.send(Call {
            query: &[("uploadId", upload)],
            headers: &[("content-type", "application/xml")],
            body: body.into(),
            payload: &payload,
            ..Call::new(what, "POST", key)
        })?;
        if response.status == 404 {
            // A first try whose answer was lost has made the object; whoever looks for it will see.
            return Ok(());
        }
        if !response.is_success() || element(&response.text(), "Code").is_some() {
            return Err(self.refused(what, &response));
        }
        // The checksum of checksums, with the number of parts behind it ("Checking object integrity").
        let parts = journal.parts().len();
        let sent = format!("{}-{parts}", BASE64.encode(digest(&SHA256, &sums)));
        match element(&response.text(), "ChecksumSHA256") {
            Some(found) if found.contains('-') && found != sent => {
                Err(UploadError::Corrupt { what: "the object".to_owned(), sent, found })
            }
            _ => Ok(()),
        }
    }

    /// Gives up the upload of the journal: the server drops its parts.
    ///
    /// # Errors
    /// As requests fail.
    pub fn abort(&self, journal: &Journal) -> Result<(), UploadError> {
        let Some((key, upload)) = journal.value("key").zip(journal.value("upload")) else {
            return Ok(());
        };
        let what = "removing the unfinished upload";
        let call = Call { query: &[("uploadId", &upload)], ..Call::new(what, "DELETE", &key) };
        let response = self.send(call)?;
        if response.is_success() || response.status == 404 {
            return Ok(());
        }
        Err(self.refused(what, &response))
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// As requests fail.
    pub fn delete(&self, key: &str) -> Result<(), UploadError> {
        let what = "removing an object";
        let response = self.send(Call::new(what, "DELETE", key))?;
        if response.is_success() || response.status == 404 {
            return Ok(());
        }
        Err(self.refused(what, &response))
    }

    /// Keys that begin so, and when each was made.
    ///
    /// # Errors
    /// As requests fail.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, UploadError> {
        let what = "listing images";
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let mut fields = vec![("list-type", "2"), ("prefix", prefix)];
            if !token.is_empty() {
                fields.insert(0, ("continuation-token", token.as_str()));
            }
            let response = self.send(Call { query: &fields, ..Call::new(what, "GET", "") })?;
            if !response.is_success() {
                return Err(self.refused(what, &response));
            }
            let text = response.text();
            let document = parse(what, &text)?;
            for item in document.descendants().filter(|it| it.has_tag_name_anywhere("Contents")) {
                let field = |name| {
                    let node = item.children().find(|it| it.has_tag_name_anywhere(name));
                    node.and_then(|it| it.text()).unwrap_or_default().to_owned()
                };
                found.push((field("Key"), field("LastModified")));
            }
            token = match element(&text, "NextContinuationToken") {
                Some(next) if element(&text, "IsTruncated").as_deref() == Some("true") => next,
                _ => return Ok(found),
            };
        }
    }
}

/// The unfinished upload of a journal: its identifier and the size of its parts.
fn unfinished(journal: &Journal) -> Result<(String, u64), UploadError> {
    let size = journal.value("part-bytes").and_then(|text| text.parse().ok());
    journal
        .value("upload")
        .zip(size.filter(|size| *size > 0))
        .ok_or_else(|| UploadError::answer("the journal", "it has no upload"))
}

/// Whether a key's rest is that of an image of ours: `20261121-0123456789ab.img`.
pub fn is_version_of(rest: &str) -> bool {
    let stem = rest.split('.').next().unwrap_or_default();
    let (date, digits) = stem.rsplit_once('-').unwrap_or(("", stem));
    (date.is_empty() || (date.len() == 8 && date.bytes().all(|it| it.is_ascii_digit())))
        && digits.len() == 12
        && digits.bytes().all(|it| it.is_ascii_hexdigit())
        && rest.len() > stem.len()
}

/// A name of an element whatever its namespace: services other than Amazon's have others or none.
trait Named {
    fn has_tag_name_anywhere(&self, name: &str) -> bool;
}

impl Named for roxmltree::Node<'_, '_> {
    fn has_tag_name_anywhere(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn parse<'a>(what: &str, text: &'a str) -> Result<Document<'a>, UploadError> {
    Document::parse(text).map_err(|error| UploadError::answer(what, format!("no XML: {error}")))
}

/// The text of the first element with this name.
pub fn element(text: &str, name: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let node = document.descendants().find(|node| node.has_tag_name_anywhere(name))?;
    Some(node.text().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_of_ours_are_versions() {
        for (rest, fits) in [
            ("20261121-0123456789ab.img.zst", true),
            ("0123456789ab.qcow2", true),
            ("0123456789ab", false),
            ("two-20261121-0123456789ab.img", false),
            ("2026112-0123456789ab.img", false),
            ("20261121-0123456789xy.img", false),
            ("", false),
        ] {
            assert_eq!(is_version_of(rest), fits, "{rest}");
        }
    }

    #[test]
    fn elements_are_found_in_any_namespace() {
        let text = r#"<?xml version="1.0"?><A xmlns="urn:x"><B>1</B><C/></A>"#;
        assert_eq!(element(text, "B").as_deref(), Some("1"));
        assert_eq!(element(text, "C").as_deref(), Some(""));
        assert_eq!(element(text, "D"), None);
        assert_eq!(element("", "D"), None);
    }
}
