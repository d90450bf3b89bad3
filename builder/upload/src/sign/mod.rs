//! Signatures of requests: pure functions of a request, keys and a moment.

pub mod aws;
