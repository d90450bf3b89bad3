//! `nix-cache-info`, keys, and what a program is linked with.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_nix_store::fuzz::texts(bytes));
