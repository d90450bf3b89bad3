//! Signatures of requests: pure functions of a request, keys and a moment.

pub mod aws;
pub mod azure;
pub mod file;
pub mod oracle;
pub mod rsa;
