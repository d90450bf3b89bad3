//! Amazon EC2: IMDSv2, over IPv4 and, where the subnet has no IPv4, over IPv6.
//!
//! Source: "Use the Instance Metadata Service to access instance metadata", Amazon EC2 User Guide.

use std::net::{IpAddr, Ipv6Addr};

use super::{HERE, Place, Request, Service, Token};
use crate::cloud::answers::Answers;
use crate::cloud::{FirstBoot, SourceError};

const V6: Place = Place {
    host: "[fd00:ec2::254]",
    address: IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
};

pub(super) const SERVICE: Service = Service {
    places: &[HERE, V6],
    headers: &[],
    proof: None,
    token: Some(Token {
        path: "/latest/api/token",
        ask: ("X-aws-ec2-metadata-token-ttl-seconds", "300"),
        show: "X-aws-ec2-metadata-token",
    }),
    again: &[],
    requests: &[
        Request::needed("instance-id", "/latest/meta-data/instance-id"),
        Request::optional("local-hostname", "/latest/meta-data/local-hostname"),
        Request {
            name: "public-keys",
            path: "/latest/meta-data/public-keys/",
            needed: false,
            each: Some(key_paths),
        },
        Request::optional("user-data", "/latest/user-data"),
    ],
    parse,
};

/// Lines like `0=my-key`.
fn key_paths(list: &str) -> Vec<String> {
    let number = |line: &str| line.split('=').next()?.trim().parse::<u32>().ok();
    let path = |number| format!("/latest/meta-data/public-keys/{number}/openssh-key");
    list.lines().filter_map(number).map(path).collect()
}

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("ec2");
    found.set_instance(answers.needed("instance-id")?);
    found.set_host(answers.text("local-hostname").unwrap_or_default());
    found.add_keys(answers.texts("public-keys").flat_map(str::lines));
    found.set_user_data(answers.bytes("user-data").unwrap_or_default());
    Ok(found)
}
