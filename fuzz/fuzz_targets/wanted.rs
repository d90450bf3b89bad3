//! `wanted.toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_lock::fuzz::wanted(bytes));
