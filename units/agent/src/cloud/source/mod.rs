//! The sources, one file each: what is asked for, and how the answers are read.
//!
//! In: [`Answers`] with the names of a table. Out: a [`FirstBoot`]. A new source is a file here and a line
//! in one of the tables below.

mod azure;
mod digitalocean;
mod ec2;
mod gce;
mod hetzner;
mod nocloud;
mod openstack;
mod oracle;
pub mod vmware;

use std::net::IpAddr;

use super::answers::Answers;
use super::machine::Cloud;
use super::{FirstBoot, SourceError};

/// Reads the answers of a source.
pub type Parse = fn(&Answers) -> Result<FirstBoot, SourceError>;

/// A metadata service on the link: what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Where it is; the first that answers is asked for all.
    pub places: &'static [Place],
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// A header that proves an answer to be the service's, and not a proxy's or a neighbour's.
    pub proof: Option<(&'static str, &'static str)>,
    /// A token that has to be fetched first.
    pub token: Option<Token>,
    /// Further statuses that mean "ask again"; 429 and those from 500 on do everywhere.
    pub again: &'static [u16],
    /// What is asked for, in order.
    pub requests: &'static [Request],
    /// How it is read.
    pub parse: Parse,
}

/// An address of a service, and the host that it wants to be called by.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Authority of the URL.
    pub host: &'static str,
    /// Where that is, without asking a name server. A link-local IPv6 address is tried on each interface.
    pub address: IpAddr,
}

/// A token of a session: EC2's IMDSv2.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Where it is fetched with PUT.
    pub path: &'static str,
    /// Header and value that ask for it.
    pub ask: (&'static str, &'static str),
    /// Header that it is shown in.
    pub show: &'static str,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// What the parser calls the answer.
    pub name: &'static str,
    /// Path and query.
    pub path: &'static str,
    /// Whether every machine has it. Then its absence is an error.
    pub needed: bool,
    /// What is asked for in turn, by the text of the answer: paths, whose answers get the name of this
    /// request in place of its own.
    pub each: Option<fn(&str) -> Vec<String>>,
}

impl Request {
    /// Something that may be missing.
    const fn optional(name: &'static str, path: &'static str) -> Self {
        Self { name, path, needed: false, each: None }
    }

    /// Something that every machine has.
    const fn needed(name: &'static str, path: &'static str) -> Self {
        Self { name, path, needed: true, each: None }
    }
}

/// A medium that a hypervisor attaches.
#[derive(Debug, Clone, Copy)]
pub struct Medium {
    /// What it is called in messages.
    pub name: &'static str,
    /// Labels of its volume, in any case; none means that only its files tell.
    pub labels: &'static [&'static str],
    /// Names of answers and the files that hold them.
    pub files: &'static [(&'static str, &'static str)],
    /// The file without which it is another medium.
    pub mark: &'static str,
    /// The cloud that it is looked for in; everywhere else a CD may hold anything.
    pub cloud: Option<Cloud>,
    /// How it is read.
    pub parse: Parse,
}

/// Media in the order in which they count. A DigitalOcean or OpenStack drive comes before NoCloud, which
/// its own owner may have in a disk image.
pub const MEDIA: &[Medium] =
    &[azure::MEDIUM, digitalocean::MEDIUM, openstack::MEDIUM, nocloud::MEDIUM];

/// The service of a cloud.
pub const fn service(cloud: Cloud) -> &'static Service {
    match cloud {
        Cloud::Ec2 => &ec2::SERVICE,
        Cloud::Gce => &gce::SERVICE,
        Cloud::Azure => &azure::SERVICE,
        Cloud::OpenStack => &openstack::SERVICE,
        Cloud::Hetzner => &hetzner::SERVICE,
        Cloud::DigitalOcean => &digitalocean::SERVICE,
        Cloud::Oracle => &oracle::SERVICE,
    }
}

/// All clouds.
pub const CLOUDS: [Cloud; 7] = [
    Cloud::Ec2,
    Cloud::Gce,
    Cloud::Azure,
    Cloud::OpenStack,
    Cloud::Hetzner,
    Cloud::DigitalOcean,
    Cloud::Oracle,
];

/// `169.254.169.254`, where most clouds answer.
const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));

/// The same address under its own name.
const HERE: Place = Place { host: "169.254.169.254", address: V4 };

/// Takes over SSH keys: lines of text, a list, or a table of them.
fn public_keys(found: &mut FirstBoot, value: Option<&serde_json::Value>) {
    use serde_json::Value;
    match value {
        Some(Value::String(lines)) => found.add_keys(lines.lines()),
        Some(Value::Array(keys)) => found.add_keys(keys.iter().filter_map(Value::as_str)),
        Some(Value::Object(keys)) => found.add_keys(keys.values().filter_map(Value::as_str)),
        _ => {}
    }
}

/// Gives every source each line of `bytes`, or all of it, as each of its answers.
pub(crate) fn fuzz(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let answers = |names: &mut dyn Iterator<Item = &'static str>| {
        let mut answers = Answers::default();
        for (index, name) in names.enumerate() {
            answers.add(name, lines[index % lines.len()].to_vec());
        }
        answers
    };
    for cloud in CLOUDS {
        let Service { requests, parse, .. } = service(cloud);
        let _ = parse(&answers(&mut requests.iter().map(|it| it.name)));
    }
    for Medium { files, parse, .. } in MEDIA {
        let _ = parse(&answers(&mut files.iter().map(|(name, _)| *name)));
    }
    let _ = vmware::parse(&answers(&mut vmware::VARIABLES.into_iter()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_of_machines_beyond_the_link_but_of_azures_wireserver() {
        for cloud in CLOUDS {
            for place in service(cloud).places {
                let on_link = match place.address {
                    IpAddr::V4(v4) => v4.is_link_local(),
                    IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unique_local(),
                };
                assert!(on_link, "{place:?}");
            }
        }
    }

    #[test]
    fn answers_of_strangers_are_errors_and_nothing_worse() {
        for bytes in [&b""[..], b"\0", b"{}", b"[[[[", b"\xff\xfe", b"<html>", b"a: &a [*a]"] {
            fuzz(bytes);
        }
        fuzz(&b"[".repeat(70_000));
        fuzz(&b"{\"a\":".repeat(10_000));
        fuzz(&b"<a>".repeat(20_000));
    }
}
