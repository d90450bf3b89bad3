//! The destinations: one module each, listed in [`crate::destination::ALL`]. `bucket` is what those by S3's protocol share.

pub mod aws;
pub mod azure;
pub mod bucket;
pub mod digitalocean;
pub mod folder;
pub mod gcp;
pub mod hetzner;
pub mod openstack;
pub mod oracle;
pub mod proxmox;
pub mod s3;
