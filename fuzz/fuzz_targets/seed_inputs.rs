//! Lists of passwords, and what an image says of itself.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_seed::fuzz::seed_inputs(bytes));
