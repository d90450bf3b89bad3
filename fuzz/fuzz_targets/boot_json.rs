//! `boot.json` of a NixOS system.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_closure::fuzz::boot_json(bytes));
