//! The record of a store path, in a cache.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_nix_store::fuzz::narinfo(bytes));
