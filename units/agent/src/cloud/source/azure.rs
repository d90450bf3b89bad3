//! Microsoft Azure: the CD with `ovf-env.xml` (custom data), and the metadata service (user data).
//!
//! Sources: "Azure Instance Metadata Service" for the requests, and cloud-init's and afterburn's description
//! of the CD; Microsoft documents only that it exists. That the machine is up is reported elsewhere
//! ([`azure_report`](crate::cloud::azure_report)).

use serde_json::Value;

use super::{Cloud, HERE, Medium, Request, Service};
use crate::cloud::answers::{Answers, text};
use crate::cloud::{FirstBoot, SourceError, base64};

pub(super) const SERVICE: Service = Service {
    places: &[HERE],
    headers: &[("Metadata", "true")],
    proof: None,
    token: None,
    // While the machine is provisioned, the service says so.
    again: &[404, 410],
    requests: &[
        Request::needed(
            "instance",
            "/metadata/instance/compute/vmId?api-version=2021-02-01&format=text",
        ),
        Request::needed("compute", "/metadata/instance/compute?api-version=2021-02-01"),
    ],
    parse: parse_service,
};

fn parse_service(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("azure");
    found.set_instance(answers.needed("instance")?);
    let compute = answers.json("compute")?.ok_or(SourceError::Missing("compute"))?;
    let name = text(&compute, "/osProfile/computerName").or_else(|| text(&compute, "/name"));
    found.set_host(name.unwrap_or_default());
    let keys = compute.get("publicKeys").and_then(Value::as_array).into_iter().flatten();
    // Who pasted a key in several lines meant one.
    let keys: Vec<String> = keys
        .filter_map(|key| text(key, "/keyData"))
        .map(|key| key.split(['\r', '\n']).collect())
        .collect();
    found.add_keys(keys.iter().map(String::as_str));
    let user_data = text(&compute, "/userData").unwrap_or_default();
    found.set_user_data(&base64("userData", user_data.as_bytes())?);
    Ok(found)
}

pub(super) const MEDIUM: Medium = Medium {
    name: "Azure's provisioning CD",
    labels: &[],
    files: &[("ovf-env", "ovf-env.xml")],
    mark: "ovf-env.xml",
    cloud: Some(Cloud::Azure),
    parse: parse_medium,
};

/// The CD has the host name and the custom data; identity and keys come from the service.
fn parse_medium(answers: &Answers) -> Result<FirstBoot, SourceError> {
    const NAME: &str = "ovf-env.xml";
    let text = answers.needed("ovf-env").map_err(|_| SourceError::Missing(NAME))?;
    let text = text.trim_start_matches('\u{feff}');
    // No document type, so no entities that grow; nodes are bounded by the size of the file.
    let limits = roxmltree::ParsingOptions { nodes_limit: 4096, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text, limits)
        .map_err(|error| SourceError::nonsense(NAME, format!("no XML at {}", error.pos())))?;
    let of = |name: &str| {
        let mut nodes = document.descendants().filter(|node| node.tag_name().name() == name);
        nodes.find_map(|node| node.text()).unwrap_or_default()
    };
    let mut found = FirstBoot::of("azure");
    found.set_host(of("HostName"));
    found.set_user_data(&base64("CustomData", of("CustomData").as_bytes())?);
    Ok(found)
}
