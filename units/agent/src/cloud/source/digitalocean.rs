//! DigitalOcean: the metadata service, and the drive that custom images have.
//!
//! Source: "Droplet metadata API" and "Custom images", DigitalOcean's documentation.

use super::{Cloud, HERE, Medium, Request, Service};
use crate::cloud::answers::{Answers, text, texts};
use crate::cloud::{FirstBoot, SourceError, network_data};

pub(super) const SERVICE: Service = Service {
    places: &[HERE],
    headers: &[],
    proof: None,
    token: None,
    again: &[],
    requests: &[Request::needed("metadata", "/metadata/v1.json")],
    parse,
};

pub(super) const MEDIUM: Medium = Medium {
    name: "DigitalOcean's config drive",
    labels: &["config-2"],
    files: &[("metadata", "digitalocean_meta_data.json")],
    mark: "digitalocean_meta_data.json",
    cloud: Some(Cloud::DigitalOcean),
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("digitalocean");
    let metadata = answers.json("metadata")?.ok_or(SourceError::Missing("metadata"))?;
    let number = metadata.get("droplet_id").and_then(|it| it.as_u64());
    let number = number.ok_or(SourceError::Missing("droplet_id"))?;
    found.set_instance(&number.to_string());
    found.set_host(text(&metadata, "/hostname").unwrap_or_default());
    found.add_keys(texts(&metadata, "/public_keys"));
    found.set_user_data(text(&metadata, "/user_data").unwrap_or_default().as_bytes());
    found.networks = network_data::digitalocean(&metadata);
    Ok(found)
}
