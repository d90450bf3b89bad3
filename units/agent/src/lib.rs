//! The agent of a Mailkiln appliance, as a library so that its parts can be tested.
//!
//! In: `/etc/mailkiln/appliance.json`, the state below `/var/lib` and the mail server's API on
//! loopback. Out: secrets, keys and a first certificate; domains and accounts; the console; the
//! answer to "does mail work?". One file per command is in [`command`]; the rest are its nouns.

pub mod account_password;
pub mod api;
pub mod appliance;
pub mod arguments;
pub mod boot_partition;
pub mod certificate;
pub mod cloud;
pub mod command;
pub mod deadline;
pub mod dkim;
pub mod dns;
pub mod first_passwords;
pub mod health;
pub mod imap;
pub mod layout;
pub mod mailbox_probe;
pub mod network;
pub mod notice;
pub mod page;
pub mod password;
pub mod provisioned;
pub mod provisioning;
pub mod records;
pub mod renewal;
pub mod screen;
pub mod secrets;
pub mod seed;
pub mod seed_place;
pub mod signatures;
pub mod smtp;
pub mod tls;

pub use mailkiln_store::{durable, journal};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::{
        api, appliance, certificate, cloud, dns, imap, network, page, renewal, seed, seed_place,
    };

    /// Reads `bytes` as `appliance.json`.
    pub fn appliance(bytes: &[u8]) {
        let parsed = serde_json::from_slice::<appliance::Appliance>(bytes);
        if let Ok(appliance) = parsed {
            let _ = (appliance.certificate_names(), appliance.probe_address());
        }
    }

    /// Reads `bytes` as a chain of certificates.
    pub fn certificate(bytes: &[u8]) {
        let chain = String::from_utf8_lossy(bytes);
        let _ = certificate::Facts::parse(&chain);
        let _ = certificate::first_der(&chain);
        let _ = renewal::parse(&chain, 0);
    }

    /// Reads `bytes` as first boot data of every source, as user-data and as a volume.
    pub fn cloud(bytes: &[u8]) {
        cloud::fuzz(bytes);
    }

    /// Reads `bytes` as a name server's answer.
    pub fn dns(bytes: &[u8]) {
        dns::fuzz(bytes);
    }

    /// Reads `bytes` as lines of an IMAP server.
    pub fn imap(bytes: &[u8]) {
        String::from_utf8_lossy(bytes).lines().for_each(imap::fuzz);
    }

    /// Reads `bytes` as a request to the page where passwords are changed.
    pub fn page(bytes: &[u8]) {
        page::fuzz(bytes);
    }

    /// Reads `bytes` as an account of the mail server's.
    pub fn principal(bytes: &[u8]) {
        let _ = serde_json::from_slice::<api::Principal>(bytes);
    }

    /// Reads `bytes` as a seed.
    pub fn seed(bytes: &[u8]) {
        seed::fuzz(bytes);
    }

    /// Looks for the place of a seed in the volume `bytes`.
    pub fn seed_place(bytes: &[u8]) {
        seed_place::fuzz(bytes);
    }

    /// Reads `bytes` as what the kernel says about its ports.
    pub fn ports(bytes: &[u8]) {
        let _ = network::parse_listening(&String::from_utf8_lossy(bytes));
    }
}
