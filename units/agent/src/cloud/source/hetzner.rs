//! Hetzner Cloud, over IPv4 and over the link's own IPv6.
//!
//! Source: "Server metadata", Hetzner's cloud API documentation. A machine asks for two minutes at most.

use std::net::{IpAddr, Ipv6Addr};

use super::{HERE, Place, Request, Service};
use crate::cloud::answers::{Answers, text, texts};
use crate::cloud::{FirstBoot, SourceError, yaml};

const ON_LINK: Place = Place {
    host: "[fe80::a9fe:a9fe]",
    address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
};

pub(super) const SERVICE: Service = Service {
    places: &[HERE, ON_LINK],
    headers: &[],
    proof: None,
    token: None,
    again: &[],
    requests: &[
        Request::needed("metadata", "/hetzner/v1/metadata"),
        Request::optional("userdata", "/hetzner/v1/userdata"),
    ],
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("hetzner");
    let metadata = yaml::parse(answers.needed("metadata")?)
        .map_err(|error| SourceError::nonsense("metadata", error))?;
    let number = metadata.get("instance-id").and_then(|it| it.as_i64()).map(|it| it.to_string());
    let instance = number.as_deref().or(text(&metadata, "/instance-id"));
    found.set_instance(instance.ok_or(SourceError::Missing("instance-id"))?);
    found.set_host(text(&metadata, "/hostname").unwrap_or_default());
    found.add_keys(texts(&metadata, "/public-keys"));
    found.set_user_data(answers.bytes("userdata").unwrap_or_default());
    Ok(found)
}
