//! The destinations: one module each, listed in [`crate::destination::ALL`].

pub mod bucket;
pub mod folder;
pub mod openstack;
pub mod s3;
