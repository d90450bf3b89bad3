//! Rust units compiled from source in a sandbox made of locked packages.
