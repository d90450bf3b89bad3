//! OpenStack: the config drive, and the same files over HTTP.
//!
//! Source: "Metadata", Nova's user documentation, format `latest`.

use serde_json::Value;

use super::{HERE, Medium, Request, Service};
use crate::cloud::answers::{Answers, text};
use crate::cloud::{FirstBoot, SourceError, network_data};

pub(super) const SERVICE: Service = Service {
    places: &[HERE],
    headers: &[],
    proof: None,
    token: None,
    again: &[],
    requests: &[
        Request::needed("meta_data.json", "/openstack/latest/meta_data.json"),
        Request::optional("user_data", "/openstack/latest/user_data"),
        Request::optional("network_data.json", "/openstack/latest/network_data.json"),
    ],
    parse,
};

pub(super) const MEDIUM: Medium = Medium {
    name: "the config drive",
    labels: &["config-2"],
    files: &[
        ("meta_data.json", "openstack/latest/meta_data.json"),
        ("user_data", "openstack/latest/user_data"),
        ("network_data.json", "openstack/latest/network_data.json"),
    ],
    mark: "openstack/latest/meta_data.json",
    cloud: None,
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("openstack");
    let metadata = answers.json("meta_data.json")?.ok_or(SourceError::Missing("meta_data.json"))?;
    found.set_instance(text(&metadata, "/uuid").ok_or(SourceError::Missing("uuid"))?);
    found.set_host(text(&metadata, "/hostname").or(text(&metadata, "/name")).unwrap_or_default());
    let keys = metadata.get("public_keys").and_then(Value::as_object).into_iter().flatten();
    found.add_keys(keys.filter_map(|(_, key)| key.as_str()).flat_map(str::lines));
    found.set_user_data(answers.bytes("user_data").unwrap_or_default());
    if let Some(document) = answers.json("network_data.json")? {
        found.networks = network_data::openstack(&document);
    }
    Ok(found)
}
