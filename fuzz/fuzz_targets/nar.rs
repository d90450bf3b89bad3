//! A NAR.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_nix_store::fuzz::nar(bytes));
