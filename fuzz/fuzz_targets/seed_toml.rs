//! The seed.toml of a seed.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_seed::fuzz::seed_toml(bytes));
