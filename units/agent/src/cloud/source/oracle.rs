//! Oracle Cloud Infrastructure.
//!
//! Source: "Getting instance metadata", Oracle's documentation, version 2 of the service.

use std::net::{IpAddr, Ipv6Addr};

use super::{HERE, Place, Request, Service};
use crate::cloud::answers::{Answers, text};
use crate::cloud::{FirstBoot, SourceError, base64};

const V6: Place = Place {
    host: "[fd00:c1::a9fe:a9fe]",
    address: IpAddr::V6(Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
};

pub(super) const SERVICE: Service = Service {
    places: &[HERE, V6],
    headers: &[("Authorization", "Bearer Oracle")],
    proof: None,
    token: None,
    again: &[],
    requests: &[Request::needed("instance", "/opc/v2/instance/")],
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("oracle");
    let instance = answers.json("instance")?.ok_or(SourceError::Missing("instance"))?;
    found.set_instance(text(&instance, "/id").ok_or(SourceError::Missing("id"))?);
    found.set_host(text(&instance, "/hostname").unwrap_or_default());
    let keys = text(&instance, "/metadata/ssh_authorized_keys").unwrap_or_default();
    found.add_keys(keys.lines());
    let user_data = text(&instance, "/metadata/user_data").unwrap_or_default();
    found.set_user_data(&base64("user_data", user_data.as_bytes())?);
    Ok(found)
}
