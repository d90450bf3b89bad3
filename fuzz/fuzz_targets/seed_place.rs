//! The place of a seed on a boot partition, as the appliance looks for it.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::seed_place(bytes));
