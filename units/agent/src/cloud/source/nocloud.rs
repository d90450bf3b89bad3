//! NoCloud: a volume labelled `cidata`, as Proxmox, libvirt, Incus and people with `cloud-localds` make it.
//!
//! Source: "NoCloud", cloud-init's documentation. URLs in the SMBIOS serial number are not followed: what
//! they fetch would come from anywhere.

use super::{Medium, public_keys};
use crate::cloud::answers::{Answers, text};
use crate::cloud::{FirstBoot, SourceError, network_data, yaml};

pub(super) const MEDIUM: Medium = Medium {
    name: "the NoCloud volume",
    labels: &["cidata"],
    files: &[
        ("meta-data", "meta-data"),
        ("user-data", "user-data"),
        ("network-config", "network-config"),
    ],
    mark: "user-data",
    cloud: None,
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("nocloud");
    let read = |name: &'static str| {
        let text = answers.text(name).unwrap_or_default();
        yaml::parse(text).map_err(|error| SourceError::nonsense(name, error))
    };
    let metadata = read("meta-data")?;
    let number = metadata.get("instance-id").and_then(|it| it.as_i64()).map(|it| it.to_string());
    let instance = number.as_deref().or(text(&metadata, "/instance-id"));
    found.set_instance(instance.unwrap_or_default());
    let host = text(&metadata, "/local-hostname").or(text(&metadata, "/hostname"));
    found.set_host(host.unwrap_or_default());
    public_keys(&mut found, metadata.get("public-keys"));
    found.set_user_data(answers.bytes("user-data").unwrap_or_default());
    found.networks = network_data::cloud_init(&read("network-config")?);
    Ok(found)
}
