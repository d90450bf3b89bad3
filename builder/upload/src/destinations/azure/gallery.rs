//! A Compute Gallery: image definitions and their versions.

use std::collections::BTreeMap;

use mailkiln_pin::Arch;
use serde_json::{Value, json};

use crate::artifact::{Artifact, plain};
use crate::credentials::azure::bearer;
use crate::credentials::bearer::Bearer;
use crate::destination::Stored;
use crate::error::{UploadError, presentable};
use crate::http::{Http, Request, encode};
use crate::progress::Progress;
use crate::settings::Settings;

/// Version of the compute resource provider.
const ARM_VERSION: &str = "2023-07-03";
/// Minutes that replication may take.
const PATIENCE: u64 = 120;

pub(super) struct Gallery {
    bearer: Bearer,
    endpoint: String,
    /// `/subscriptions/…/resourceGroups/…`.
    pub(super) group: String,
    pub(super) name: String,
    pub(super) region: String,
}

pub(super) fn gallery(settings: &Settings) -> Result<Option<Gallery>, UploadError> {
    let Some(name) = settings.get("gallery") else { return Ok(None) };
    let (subscription, group) =
        (settings.require("subscription")?, settings.require("resource-group")?);
    Ok(Some(Gallery {
        bearer: bearer(settings, "https://management.azure.com/"),
        endpoint: settings.address("management-endpoint")?.unwrap_or_default(),
        group: format!(
            "/subscriptions/{}/resourceGroups/{}",
            encode(&subscription),
            encode(&group)
        ),
        name,
        region: settings.require("region")?,
    }))
}

impl Gallery {
    /// The path of an image definition: one a name.
    pub(super) fn definition(&self, name: &str) -> String {
        format!(
            "{}/providers/Microsoft.Compute/galleries/{}/images/{}",
            self.group,
            encode(&self.name),
            plain(name)
        )
    }

    /// `2026.1121.N`: the date of the lock, and 31 bits of the digest.
    pub(super) fn version(artifact: &Artifact) -> String {
        let digits: String =
            artifact.lock_time.chars().filter(char::is_ascii_digit).take(8).collect();
        let (year, day) = digits.split_at_checked(4).unwrap_or(("0", "0"));
        let number = |text: &str| text.parse::<u32>().unwrap_or_default();
        let bits = u32::from_str_radix(&artifact.sha256.to_string()[..8], 16).unwrap_or_default();
        format!("{}.{}.{}", number(year), number(day), bits >> 1)
    }

    pub(super) fn call(
        &self,
        http: &Http,
        what: &str,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, UploadError> {
        let url = format!("{}{path}?api-version={ARM_VERSION}", self.endpoint);
        let mut request = Request::new(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.bearer.send(http, what, &request)?;
        if response.status == 404 && method != "PUT" {
            return Ok(None);
        }
        let response = response.success(what)?;
        if response.body.is_empty() { Ok(Some(Value::Null)) } else { response.json(what).map(Some) }
    }

    /// Makes the definition, if it is not there, and the version.
    pub(super) fn publish(
        &self,
        http: &Http,
        artifact: &Artifact,
        account: &str,
        uri: &str,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let definition = self.definition(&artifact.name);
        let arm = artifact.arch == Arch::Aarch64;
        let body = json!({
            "location": self.region,
            "properties": {
                "osType": "Linux",
                "osState": "Generalized",
                "hyperVGeneration": "V2",
                "architecture": if arm { "Arm64" } else { "x64" },
                "features": [{"name": "DiskControllerTypes", "value": "SCSI, NVMe"}],
                "identifier": {"publisher": "mailkiln", "offer": plain(&artifact.name), "sku": artifact.arch.gnu()},
            },
        });
        let what = "making the image definition";
        if self.call(http, what, "GET", &definition, None)?.is_none() {
            self.call(http, what, "PUT", &definition, Some(&body))?;
            self.finish(http, what, &definition, progress)?;
        }
        let version = format!("{definition}/versions/{}", Self::version(artifact));
        let tags: BTreeMap<_, _> = artifact.tags().into_iter().collect();
        let source =
            format!("{}/providers/Microsoft.Storage/storageAccounts/{account}", self.group);
        let body = json!({
            "location": self.region,
            "tags": tags,
            "properties": {
                "publishingProfile": {"targetRegions": [{"name": self.region, "regionalReplicaCount": 1}]},
                "storageProfile": {
                    "osDiskImage": {"hostCaching": "ReadWrite", "source": {"storageAccountId": source, "uri": uri}},
                },
            },
        });
        let what = "making the image version";
        self.call(http, what, "PUT", &version, Some(&body))?;
        let made = self.finish(http, what, &version, progress)?;
        Ok(stored(&made))
    }

    /// Waits until a resource is there.
    fn finish(
        &self,
        http: &Http,
        what: &str,
        path: &str,
        progress: &dyn Progress,
    ) -> Result<Value, UploadError> {
        http.wait(what, PATIENCE, progress, || {
            let Some(found) = self.call(http, what, "GET", path, None)? else { return Ok(None) };
            match found["properties"]["provisioningState"].as_str() {
                Some("Succeeded") => Ok(Some(found)),
                Some(state @ ("Failed" | "Canceled")) => {
                    Err(UploadError::Failed { what: what.to_owned(), message: presentable(state) })
                }
                _ => Ok(None),
            }
        })
    }
}

pub(super) fn stored(version: &Value) -> Stored {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Stored {
        id: text(&version["id"]),
        name: text(&version["name"]),
        created: text(&version["properties"]["publishingProfile"]["publishedDate"]),
    }
}
