//! The agent of a Mailkiln appliance, as a library so that its parts can be tested.
//!
//! In: `/etc/mailkiln/appliance.json`, the state below `/var/lib` and the mail server's API on
//! loopback. Out: secrets, keys and a first certificate; domains and accounts; the console; the
//! answer to "does mail work?". One file per command is in [`command`]; the rest are its nouns.

pub mod account_password;
pub mod api;
pub mod appliance;
pub mod arguments;
pub mod certificate;
pub mod command;
pub mod deadline;
pub mod dkim;
pub mod dns;
pub mod durable;
pub mod health;
pub mod imap;
pub mod journal;
pub mod layout;
pub mod mailbox_probe;
pub mod network;
pub mod password;
pub mod provisioning;
pub mod records;
pub mod screen;
pub mod secrets;
pub mod smtp;
pub mod tls;
