//! `appliance.json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::appliance(bytes));
